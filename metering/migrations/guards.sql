-- What the database itself refuses, whoever asks: migration 0001 runs this once.

CREATE FUNCTION metering_refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger entries are append-only: correct one by a new entry'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_is_append_only BEFORE UPDATE OR DELETE ON metering_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION metering_refuse_ledger_change();

CREATE FUNCTION metering_refuse_invoice_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'draft' AND (TG_OP = 'DELETE'
        OR (NEW.tenant_id, NEW.period, NEW.number, NEW.plan, NEW.total_nanousd, NEW.finalized_at,
            NEW.bill_to, NEW.issuer)
           IS DISTINCT FROM
           (OLD.tenant_id, OLD.period, OLD.number, OLD.plan, OLD.total_nanousd, OLD.finalized_at,
            OLD.bill_to, OLD.issuer)
        OR NEW.state = 'draft' OR (OLD.state <> 'finalized' AND NEW.state <> OLD.state)) THEN
        RAISE EXCEPTION 'a finalized invoice never changes' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER finalized_invoices_stay BEFORE UPDATE OR DELETE ON metering_invoice
    FOR EACH ROW EXECUTE FUNCTION metering_refuse_invoice_change();

CREATE FUNCTION metering_refuse_invoice_line_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM metering_invoice WHERE state <> 'draft'
               AND (TG_OP <> 'INSERT' AND id = OLD.invoice_id
                    OR TG_OP <> 'DELETE' AND id = NEW.invoice_id)) THEN
        RAISE EXCEPTION 'the lines of a finalized invoice never change' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER lines_of_finalized_invoices_stay BEFORE INSERT OR UPDATE OR DELETE ON metering_invoiceline
    FOR EACH ROW EXECUTE FUNCTION metering_refuse_invoice_line_change();

CREATE FUNCTION metering_refuse_credit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'grants and burns of credits never change' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER grants_stay BEFORE UPDATE OR DELETE ON metering_creditgrant
    FOR EACH ROW EXECUTE FUNCTION metering_refuse_credit_change();
CREATE TRIGGER burns_stay BEFORE UPDATE OR DELETE ON metering_creditburn
    FOR EACH ROW EXECUTE FUNCTION metering_refuse_credit_change();

CREATE FUNCTION metering_check_credit_burn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    granted bigint;
    burned numeric;
BEGIN
    -- One burn of a grant at a time: another one that is not committed yet would not be seen.
    SELECT amount_nanousd INTO granted FROM metering_creditgrant WHERE id = NEW.grant_id FOR NO KEY UPDATE;
    SELECT sum(amount_nanousd) INTO burned FROM metering_creditburn WHERE grant_id = NEW.grant_id;
    IF burned < 0 OR burned > granted THEN
        RAISE EXCEPTION 'grant % is %, its burns would be %', NEW.grant_id, granted, burned
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER burns_stay_within_grants AFTER INSERT ON metering_creditburn
    FOR EACH ROW EXECUTE FUNCTION metering_check_credit_burn();

CREATE FUNCTION metering_refuse_style_price_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.effective_from > now() THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'prices of styles are append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER style_prices_stay BEFORE UPDATE OR DELETE ON metering_styleprice
    FOR EACH ROW EXECUTE FUNCTION metering_refuse_style_price_change();
