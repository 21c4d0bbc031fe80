"""Payments through a provider, or by transfer: no card data is kept."""

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0026_hosting"),
    ]

    operations = [
        migrations.AlterField(
            model_name="noticemail",
            name="kind",
            field=models.CharField(
                choices=[
                    ("usage", "Usage reaches 50, 80 or 100 % of a month's tokens, budget or credits"),
                    ("uploads", "A version that was uploaded is rejected, or no engine can load it"),
                    ("canaries", "A canary ends by itself"),
                    ("shares", "Another workspace shares a style with this one"),
                    ("offers", "An offer to the public catalogue is approved or declined"),
                    (
                        "webhooks",
                        "A webhook endpoint is disabled, because it failed for three days or by operators",
                    ),
                    ("invoices", "A month's invoice is ready"),
                    ("payments", "The plan is changed, or an automatic top-up is declined"),
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
                    ("credit.granted", "Credits were added to the workspace."),
                    ("credit.expired", "What was left of some credits expired."),
                    ("invoice.finalized", "A month's invoice has its number and is to be paid."),
                    ("invoice.paid", "An invoice was paid."),
                    ("invoice.voided", "Nothing is asked for an invoice any more."),
                    ("credit_note.issued", "An invoice was corrected by a credit note."),
                    ("payment.succeeded", "A payment came: a top-up or an invoice's."),
                    ("payment.failed", "A payment was declined, such as an automatic top-up."),
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
                            ("canceled", "Canceled"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                (
                    "provider",
                    models.CharField(
                        choices=[("manual", "by transfer"), ("stripe", "Stripe")], max_length=10
                    ),
                ),
                (
                    "reference",
                    models.CharField(
                        blank=True, help_text="The provider's id, such as cs_… or pi_….", max_length=100
                    ),
                ),
                ("url", models.TextField(blank=True, help_text="Where a person pays.")),
                (
                    "failure",
                    models.CharField(
                        blank=True, help_text="Why it failed, as the provider says.", max_length=300
                    ),
                ),
                ("actor", models.CharField(blank=True, max_length=80)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "checked_at",
                    models.DateTimeField(
                        blank=True, help_text="When the provider was last asked.", null=True
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
                        to="tenants.invoice",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to="tenants.tenant",
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
                        help_text="The provider's id of what was saved for later, such as pm_….",
                        max_length=64,
                    ),
                ),
                (
                    "threshold_nanousd",
                    models.BigIntegerField(
                        blank=True, help_text="Top up when less credits are left. None: never.", null=True
                    ),
                ),
                (
                    "amount_nanousd",
                    models.BigIntegerField(blank=True, help_text="Of one automatic top-up.", null=True),
                ),
                (
                    "failures",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="Automatic top-ups declined in a row."
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
                        to="tenants.payment",
                    ),
                ),
            ],
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
    ]
