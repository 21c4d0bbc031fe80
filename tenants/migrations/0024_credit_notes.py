"""Credit notes, which the database refuses to change."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

GUARD = """
CREATE FUNCTION tenants_refuse_credit_note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a credit note never changes' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER credit_notes_stay BEFORE UPDATE OR DELETE ON tenants_creditnote
    FOR EACH ROW EXECUTE FUNCTION tenants_refuse_credit_note_change();
"""

UNGUARD = """
DROP TRIGGER credit_notes_stay ON tenants_creditnote;
DROP FUNCTION tenants_refuse_credit_note_change();
"""


def lay(apps, schema_editor):
    apps.get_model("tenants", "CreditNoteNumber").objects.create(last=0)


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0023_overage_as_it_was"),
    ]

    operations = [
        migrations.CreateModel(
            name="CreditNoteNumber",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("last", models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.AlterField(
            model_name="outboxevent",
            name="type",
            field=models.CharField(
                choices=[
                    ("version.serving", "A version began to serve."),
                    ("version.rejected", "An upload was rejected by its validation."),
                    ("version.failed", "A version could not be loaded by any engine."),
                    ("version.retired", "A version was retired."),
                    ("release.promoted", "Another version answers for a style."),
                    ("release.rolled_back", "The version before answers for a style again."),
                    ("canary.ended", "A canary ended, by a person or by its figures."),
                    ("style.shared", "Another workspace shared a style with this one."),
                    ("style.offer_decided", "Operators approved or declined what was offered."),
                    ("key.created", "An API key was made."),
                    ("key.rotated", "An API key got a new secret."),
                    ("key.revoked", "An API key was revoked."),
                    ("usage.threshold_reached", "50, 80 or 100 % of a month's limit is used."),
                    ("credit.granted", "Credits were added to the workspace."),
                    ("credit.expired", "What was left of some credits expired."),
                    ("invoice.finalized", "A month's invoice has its number and is to be paid."),
                    ("invoice.paid", "An invoice was paid."),
                    ("invoice.voided", "Nothing is asked for an invoice any more."),
                    ("credit_note.issued", "An invoice was corrected by a credit note."),
                    ("workspace.suspended", "The workspace is served no more."),
                    ("workspace.resumed", "The workspace is served again."),
                    ("erasure.completed", "A version's files are gone from everywhere."),
                    (
                        "webhook.disabled",
                        "An endpoint answered 410, failed for three days, or was disabled by operators.",
                    ),
                    ("webhook.test", "Somebody pressed “Send a test”. It goes to that endpoint alone."),
                ],
                max_length=40,
            ),
        ),
        migrations.CreateModel(
            name="CreditNote",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("number", models.PositiveIntegerField(unique=True)),
                ("amount_nanousd", models.BigIntegerField(help_text="Whole cents, more than none.")),
                (
                    "settlement",
                    models.CharField(
                        choices=[
                            ("owed", "less is to be paid"),
                            ("credits", "given back as credits"),
                            ("refund", "paid back"),
                        ],
                        max_length=10,
                    ),
                ),
                ("reason", models.CharField(help_text="The customer reads it.", max_length=200)),
                ("actor", models.CharField(max_length=80)),
                ("created_at", models.DateTimeField()),
                (
                    "invoice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credit_notes",
                        to="tenants.invoice",
                    ),
                ),
            ],
            options={
                "ordering": ["number"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount_nanousd__gt", 0)), name="credit_notes_are_positive"
                    ),
                    models.UniqueConstraint(
                        fields=("invoice", "reason"),
                        name="one_credit_note_a_reason",
                        violation_error_message="This invoice has a credit note with this reason already.",
                    ),
                ],
            },
        ),
        migrations.RunSQL(GUARD, UNGUARD),
        migrations.RunPython(lay, migrations.RunPython.noop),
    ]
