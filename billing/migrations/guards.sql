-- A credit note is never changed: migration 0001 runs this once.

CREATE FUNCTION billing_refuse_credit_note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a credit note never changes' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER credit_notes_stay BEFORE UPDATE OR DELETE ON billing_creditnote
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_credit_note_change();
