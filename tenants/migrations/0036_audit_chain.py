"""The audit log's chain: each entry's place and hash, checkpoints of pruning, and triggers. Schema only.

The first sweep links the entries that exist.
"""

from django.db import migrations, models

GUARD = """
CREATE OR REPLACE FUNCTION tenants_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
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
"""

UNGUARD = """
DROP TRIGGER audit_checkpoints_stay ON tenants_auditcheckpoint;
DROP FUNCTION tenants_check_audit_checkpoint();
DROP TRIGGER audit_entries_begin_unlinked ON tenants_auditentry;
DROP FUNCTION tenants_check_audit_entry();
CREATE OR REPLACE FUNCTION tenants_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0035_thresholds_of_the_cap")]
    operations = [
        migrations.CreateModel(
            name="AuditCheckpoint",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("position", models.PositiveBigIntegerField(unique=True)),
                ("hash", models.CharField(max_length=64)),
            ],
        ),
        migrations.AddField(
            "auditentry",
            "position",
            models.PositiveBigIntegerField(
                null=True,
                unique=True,
                editable=False,
                help_text="Its place in the chain, from 1 on. Empty: not linked yet.",
            ),
        ),
        migrations.AddField(
            "auditentry",
            "previous_hash",
            models.CharField(max_length=64, blank=True, editable=False, db_default=""),
        ),
        migrations.AddField(
            "auditentry",
            "hash",
            models.CharField(
                max_length=64,
                blank=True,
                editable=False,
                db_default="",
                help_text="SHA-256 of the entry and of the hash before it.",
            ),
        ),
        migrations.AddIndex("auditentry", models.Index(fields=["action", "-id"], name="audit_of_an_action")),
        migrations.AddIndex(
            "auditentry",
            models.Index(fields=["id"], condition=models.Q(position=None), name="audit_to_link"),
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
