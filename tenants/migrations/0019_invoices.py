"""Invoices, which the database refuses to change once they are finalized; and the plan of large customers."""

from uuid import uuid4

import django.db.models.deletion
from django.db import migrations, models

USD = 1_000_000_000

ENTERPRISE = {
    "monthly_fee_nanousd": 480 * USD,
    "included_tokens": 250_000_000,
    "monthly_tokens": 2_000_000_000,
    "overage_allowed": True,
    "requests_per_minute": 3_000,
    "tokens_per_minute": 4_000_000,
    "parallel_requests": 128,
    "max_output_tokens": 4096,
    "private_styles": 1_000,
    "stored_versions": 5_000,
    "stored_bytes": 500 * 1024**3,
    "open_uploads": 20,
    "api_requests_per_minute": 1_200,
    "weight": 4,
}

GUARD = """
CREATE FUNCTION tenants_refuse_invoice_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'draft' AND (TG_OP = 'DELETE'
        OR (NEW.tenant_id, NEW.period, NEW.number, NEW.plan, NEW.total_nanousd, NEW.finalized_at)
           IS DISTINCT FROM
           (OLD.tenant_id, OLD.period, OLD.number, OLD.plan, OLD.total_nanousd, OLD.finalized_at)
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
"""

UNGUARD = """
DROP TRIGGER lines_of_finalized_invoices_stay ON tenants_invoiceline;
DROP FUNCTION tenants_refuse_invoice_line_change();
DROP TRIGGER finalized_invoices_stay ON tenants_invoice;
DROP FUNCTION tenants_refuse_invoice_change();
"""


def lay(apps, schema_editor):
    plan, _ = apps.get_model("tenants", "Plan").objects.get_or_create(
        code="enterprise", defaults={"name": "Enterprise"}
    )
    if not plan.versions.exists():
        apps.get_model("tenants", "PlanVersion").objects.create(plan=plan, number=1, **ENTERPRISE)
    apps.get_model("tenants", "InvoiceNumber").objects.create(last=0)


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0018_lists_by_month"),
    ]

    operations = [
        migrations.CreateModel(
            name="InvoiceNumber",
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
            model_name="noticemail",
            name="kind",
            field=models.CharField(
                choices=[
                    ("usage", "Usage reaches 50, 80 or 100 % of a month's tokens or budget"),
                    ("uploads", "A version that was uploaded is rejected, or no engine can load it"),
                    ("canaries", "A canary ends by itself"),
                    ("shares", "Another workspace shares a style with this one"),
                    ("offers", "An offer to the public catalogue is approved or declined"),
                    ("webhooks", "A webhook endpoint is disabled, because it failed for three days"),
                    ("invoices", "A month's invoice is ready"),
                    ("keys", "An API key is made, replaced or revoked"),
                    ("workspace", "The workspace is suspended, or served again"),
                ],
                max_length=20,
            ),
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
                    ("invoice.finalized", "A month's invoice has its number and is to be paid."),
                    ("invoice.paid", "An invoice was paid."),
                    ("invoice.voided", "Nothing is asked for an invoice any more."),
                    ("workspace.suspended", "The workspace is served no more."),
                    ("workspace.resumed", "The workspace is served again."),
                    ("erasure.completed", "A version's files are gone from everywhere."),
                    ("webhook.disabled", "An endpoint answered 410, or failed for three days."),
                    ("webhook.test", "Somebody pressed “Send a test”. It goes to that endpoint alone."),
                ],
                max_length=40,
            ),
        ),
        migrations.CreateModel(
            name="Invoice",
            fields=[
                ("id", models.UUIDField(default=uuid4, editable=False, primary_key=True, serialize=False)),
                ("period", models.CharField(help_text="Month in UTC, 2026-11.", max_length=7)),
                ("number", models.PositiveIntegerField(blank=True, null=True, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("finalized", "to be paid"),
                            ("paid", "Paid"),
                            ("void", "Void"),
                        ],
                        default="draft",
                        max_length=10,
                    ),
                ),
                ("plan", models.CharField(help_text="The plan version at the month's end.", max_length=80)),
                ("total_nanousd", models.BigIntegerField(help_text="Whole cents, once it is finalized.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finalized_at", models.DateTimeField(blank=True, null=True)),
                (
                    "closed_at",
                    models.DateTimeField(blank=True, help_text="When it was paid or made void.", null=True),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invoices",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="InvoiceLine",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveSmallIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("fee", "Fee"),
                            ("usage", "Usage"),
                            ("included", "Included"),
                            ("adjustment", "Adjustment"),
                            ("rounding", "Rounding"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "period",
                    models.CharField(
                        help_text="An earlier one than the invoice's: it came late.", max_length=7
                    ),
                ),
                ("text", models.CharField(max_length=200)),
                ("style_name", models.CharField(blank=True, max_length=100)),
                ("meter", models.CharField(blank=True, max_length=20)),
                ("quantity", models.BigIntegerField(default=1)),
                ("unit_nanousd", models.BigIntegerField(blank=True, null=True)),
                ("amount_nanousd", models.BigIntegerField()),
                (
                    "first_entry",
                    models.BigIntegerField(blank=True, help_text="Ledger entries: the first,", null=True),
                ),
                (
                    "last_entry",
                    models.BigIntegerField(blank=True, help_text="and the last one of this line.", null=True),
                ),
                (
                    "invoice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="lines",
                        to="tenants.invoice",
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
            },
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(fields=["-period", "-number"], name="invoices_newest"),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(fields=("tenant", "period"), name="one_invoice_a_month"),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("number", None), ("state", "draft")),
                    models.Q(models.Q(("state", "draft"), _negated=True), ("number__isnull", False)),
                    _connector="OR",
                ),
                name="number_once_finalized",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoiceline",
            constraint=models.UniqueConstraint(fields=("invoice", "position"), name="one_line_a_position"),
        ),
        migrations.RunSQL(GUARD, UNGUARD),
        migrations.RunPython(lay, migrations.RunPython.noop),
    ]
