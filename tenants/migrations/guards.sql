-- What the database itself refuses, whoever asks: migration 0001 runs this once.

CREATE FUNCTION tenants_refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger entries are append-only: correct one by a new entry'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_is_append_only BEFORE UPDATE OR DELETE ON tenants_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION tenants_refuse_ledger_change();

CREATE FUNCTION tenants_refuse_invoice_change() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER finalized_invoices_stay BEFORE UPDATE OR DELETE ON tenants_invoice
    FOR EACH ROW EXECUTE FUNCTION tenants_refuse_invoice_change();

CREATE FUNCTION tenants_refuse_invoice_line_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM tenants_invoice WHERE state <> 'draft'
               AND (TG_OP <> 'INSERT' AND id = OLD.invoice_id
                    OR TG_OP <> 'DELETE' AND id = NEW.invoice_id)) THEN
        RAISE EXCEPTION 'the lines of a finalized invoice never change' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER lines_of_finalized_invoices_stay BEFORE INSERT OR UPDATE OR DELETE ON tenants_invoiceline
    FOR EACH ROW EXECUTE FUNCTION tenants_refuse_invoice_line_change();

CREATE FUNCTION tenants_refuse_credit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'grants and burns of credits never change' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER grants_stay BEFORE UPDATE OR DELETE ON tenants_creditgrant
    FOR EACH ROW EXECUTE FUNCTION tenants_refuse_credit_change();
CREATE TRIGGER burns_stay BEFORE UPDATE OR DELETE ON tenants_creditburn
    FOR EACH ROW EXECUTE FUNCTION tenants_refuse_credit_change();

CREATE FUNCTION tenants_check_credit_burn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    granted bigint;
    burned numeric;
BEGIN
    -- One burn of a grant at a time: another one that is not committed yet would not be seen.
    SELECT amount_nanousd INTO granted FROM tenants_creditgrant WHERE id = NEW.grant_id FOR NO KEY UPDATE;
    SELECT sum(amount_nanousd) INTO burned FROM tenants_creditburn WHERE grant_id = NEW.grant_id;
    IF burned < 0 OR burned > granted THEN
        RAISE EXCEPTION 'grant % is %, its burns would be %', NEW.grant_id, granted, burned
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER burns_stay_within_grants AFTER INSERT ON tenants_creditburn
    FOR EACH ROW EXECUTE FUNCTION tenants_check_credit_burn();

CREATE FUNCTION tenants_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    linking CONSTANT text[] := ARRAY['position', 'previous_hash', 'hash'];
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.position IS NULL AND NEW.position IS NOT NULL AND length(NEW.hash) = 64
        AND to_jsonb(OLD) - linking = to_jsonb(NEW) - linking
    THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND OLD.position <= (SELECT max(position) FROM tenants_auditcheckpoint) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE ON tenants_auditentry
    FOR EACH ROW EXECUTE FUNCTION tenants_refuse_audit_change();

CREATE FUNCTION tenants_check_audit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.position IS NOT NULL OR NEW.hash <> '' OR NEW.previous_hash <> '' THEN
        RAISE EXCEPTION 'an entry is linked after it is written' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_entries_begin_unlinked BEFORE INSERT ON tenants_auditentry
    FOR EACH ROW EXECUTE FUNCTION tenants_check_audit_entry();

CREATE FUNCTION tenants_check_audit_checkpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND EXISTS (
        SELECT 1 FROM tenants_auditentry
        WHERE position = NEW.position AND hash = NEW.hash AND at < now() - interval '30 days'
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a checkpoint is an entry of the log that is older than 30 days, and it stays'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_checkpoints_stay BEFORE INSERT OR UPDATE OR DELETE ON tenants_auditcheckpoint
    FOR EACH ROW EXECUTE FUNCTION tenants_check_audit_checkpoint();
