-- What the database itself refuses, whoever asks: migration 0001 runs this once.

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
