"""Billing details, payments and credit notes, which never change; and the number before the first one."""

import uuid
from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

import core.message_fields
import core.names

SQL = Path(__file__).parent


def add_number(apps, schema_editor):
    apps.get_model("billing", "CreditNoteNumber").objects.create()


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("metering", "0001_initial"),
        ("tenants", "0001_initial"),
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
        migrations.CreateModel(
            name="BillingDetails",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        blank=True,
                        help_text="A company or a person. Defaults to the workspace's name.",
                        max_length=100,
                        validators=[core.names.validate_name],
                        verbose_name="billed to",
                    ),
                ),
                (
                    "address",
                    models.TextField(
                        blank=True,
                        help_text="Full postal address.",
                        max_length=300,
                        validators=[core.names.validate_text],
                    ),
                ),
                (
                    "tax_id",
                    models.CharField(
                        blank=True,
                        help_text="Such as a VAT number. It's shown on invoices; we don't verify it.",
                        max_length=40,
                        validators=[core.names.validate_name],
                        verbose_name="tax id",
                    ),
                ),
                (
                    "reference",
                    models.CharField(
                        blank=True,
                        help_text="Such as a purchase order number.",
                        max_length=60,
                        validators=[core.names.validate_name],
                        verbose_name="your reference",
                    ),
                ),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="billing_details",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "billing details",
            },
        ),
        migrations.CreateModel(
            name="Payment",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("top_up", "top-up"),
                            ("auto_top_up", "automatic top-up"),
                            ("invoice", "Invoice"),
                        ],
                        max_length=12,
                    ),
                ),
                ("amount_nanousd", models.BigIntegerField(help_text="Whole cents.")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("canceled", "Cancelled"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                (
                    "provider",
                    models.CharField(
                        choices=[("manual", "by bank transfer"), ("stripe", "Stripe")], max_length=10
                    ),
                ),
                (
                    "reference",
                    models.CharField(
                        blank=True, help_text="The provider's id, such as cs_… or pi_….", max_length=100
                    ),
                ),
                (
                    "customer_id",
                    models.CharField(blank=True, help_text="Customer for automatic charges.", max_length=64),
                ),
                (
                    "payment_method_id",
                    models.CharField(
                        blank=True, help_text="Payment method for automatic charges.", max_length=64
                    ),
                ),
                ("url", models.TextField(blank=True, help_text="URL of the payment page.")),
                (
                    "failure",
                    core.message_fields.MessageField(
                        help_text="Why it failed; a provider's own words are kept as they are."
                    ),
                ),
                ("actor", models.CharField(blank=True, max_length=80)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "checked_at",
                    models.DateTimeField(
                        blank=True, help_text="When the provider was last queried.", null=True
                    ),
                ),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "invoice",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to="metering.invoice",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PaymentAccount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "customer_id",
                    models.CharField(
                        blank=True, help_text="The provider's id, such as cus_….", max_length=64
                    ),
                ),
                (
                    "payment_method_id",
                    models.CharField(
                        blank=True,
                        help_text="The provider's id of the saved payment method, such as pm_….",
                        max_length=64,
                    ),
                ),
                (
                    "threshold_nanousd",
                    models.BigIntegerField(
                        blank=True, help_text="Top up when credits fall below this. Empty: never.", null=True
                    ),
                ),
                (
                    "amount_nanousd",
                    models.BigIntegerField(blank=True, help_text="Amount of an automatic top-up.", null=True),
                ),
                (
                    "failures",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="Consecutive declined automatic top-ups."
                    ),
                ),
                (
                    "retry_at",
                    models.DateTimeField(blank=True, help_text="No automatic top-up before.", null=True),
                ),
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="payment_account",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PaymentEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("event_id", models.CharField(max_length=100, unique=True)),
                ("type", models.CharField(max_length=80)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "payment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="provider_events",
                        to="billing.payment",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CreditNote",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("number", models.PositiveIntegerField(unique=True)),
                ("amount_nanousd", models.BigIntegerField(help_text="In whole cents, more than zero.")),
                (
                    "settlement",
                    models.CharField(
                        choices=[
                            ("owed", "reduces the amount due"),
                            ("credits", "returned as credits"),
                            ("refund", "refunded"),
                        ],
                        max_length=10,
                    ),
                ),
                ("reason", models.CharField(help_text="Visible to the customer.", max_length=200)),
                ("actor", models.CharField(max_length=80)),
                ("created_at", models.DateTimeField()),
                (
                    "invoice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credit_notes",
                        to="metering.invoice",
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
                        violation_error_message="This invoice already has a credit note with this reason.",
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["tenant", "-created_at", "-id"], name="payments_newest_of_tenant"),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("state", "open")), fields=["created_at"], name="payments_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_nanousd__gt", 0)), name="payments_are_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("invoice__isnull", False), ("purpose", "invoice")),
                    models.Q(models.Q(("purpose", "invoice"), _negated=True), ("invoice__isnull", True)),
                    _connector="OR",
                ),
                name="invoice_of_invoice_payments",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("purpose", "auto_top_up"), ("state", "open")),
                fields=("tenant",),
                name="one_open_automatic_top_up",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "open")), fields=("invoice",), name="one_open_payment_an_invoice"
            ),
        ),
        migrations.AddConstraint(
            model_name="paymentaccount",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("amount_nanousd", None), ("threshold_nanousd", None)),
                    models.Q(("amount_nanousd__gt", 0), ("threshold_nanousd__gt", 0)),
                    _connector="OR",
                ),
                name="threshold_with_amount",
            ),
        ),
        migrations.AddIndex(
            model_name="paymentevent",
            index=models.Index(fields=["created_at"], name="payment_events_oldest"),
        ),
        migrations.RunSQL((SQL / "guards.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunPython(add_number, migrations.RunPython.noop),
    ]
