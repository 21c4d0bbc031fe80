"""The operators' audit log, which the database itself keeps from being changed. Schema only."""

import django.core.serializers.json
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

GUARD = """
CREATE FUNCTION tenants_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE ON tenants_auditentry
    FOR EACH ROW EXECUTE FUNCTION tenants_refuse_audit_change();
"""

UNGUARD = """
DROP TRIGGER audit_log_is_append_only ON tenants_auditentry;
DROP FUNCTION tenants_refuse_audit_change();
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0008_review_of_keys")]
    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True, db_index=True)),
                ("action", models.CharField(max_length=60)),
                ("object_type", models.CharField(help_text="The model, as tenants.tenant.", max_length=60)),
                ("object_id", models.CharField(max_length=100)),
                ("object_name", models.CharField(max_length=200)),
                ("reason", models.CharField(max_length=300)),
                (
                    "before",
                    models.JSONField(
                        default=dict,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                        help_text="What was changed.",
                    ),
                ),
                (
                    "after",
                    models.JSONField(default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                ("address", models.GenericIPAddressField(help_text="From where it was done.", null=True)),
                (
                    "actor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="audit_entries",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit log",
                "indexes": [models.Index(fields=["object_type", "object_id"], name="audit_of_a_row")],
            },
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
