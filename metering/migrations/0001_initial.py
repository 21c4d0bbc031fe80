"""Plans, prices, the ledger, usage by month, credits and invoices; what the database refuses; the first plans."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
from django.db import migrations, models

import core.message_fields

SQL = Path(__file__).parent
USD = 1_000_000_000
GIB = 1024**3
IN_FORCE_FROM = datetime(2025, 1, 1, tzinfo=UTC)

PLANS = [
    {
        "code": "free",
        "name": "Free",
        "is_offered": True,
        "monthly_fee_nanousd": 0,
        "included_tokens": 200_000,
        "monthly_tokens": 200_000,
        "overage_allowed": False,
        "requests_per_minute": 20,
        "tokens_per_minute": 40_000,
        "api_requests_per_minute": 300,
        "parallel_requests": 4,
        "sequences_per_request": 16,
        "max_output_tokens": 512,
        "weight": 1,
        "private_styles": 3,
        "stored_versions": 30,
        "stored_bytes": 2 * GIB,
        "open_uploads": 3,
        "parallel_trainings": 1,
        "monthly_trainings": 3,
        "training_words": 50_000,
    },
    {
        # Credits pay what comes after the included tokens, so the cap is above them.
        "code": "writer",
        "name": "Writer",
        "is_offered": True,
        "monthly_fee_nanousd": 12 * USD,
        "included_tokens": 5_000_000,
        "monthly_tokens": 20_000_000,
        "overage_allowed": False,
        "requests_per_minute": 120,
        "tokens_per_minute": 200_000,
        "api_requests_per_minute": 300,
        "parallel_requests": 12,
        "sequences_per_request": 16,
        "max_output_tokens": 1024,
        "weight": 2,
        "private_styles": 20,
        "stored_versions": 300,
        "stored_bytes": 20 * GIB,
        "open_uploads": 8,
        "parallel_trainings": 2,
        "monthly_trainings": 20,
        "training_words": 200_000,
    },
    {
        "code": "studio",
        "name": "Studio",
        "is_offered": True,
        "monthly_fee_nanousd": 48 * USD,
        "included_tokens": 20_000_000,
        "monthly_tokens": 100_000_000,
        "overage_allowed": True,
        "requests_per_minute": 600,
        "tokens_per_minute": 600_000,
        "api_requests_per_minute": 300,
        "parallel_requests": 32,
        "sequences_per_request": 16,
        "max_output_tokens": 2048,
        "weight": 4,
        "private_styles": 100,
        "stored_versions": 2_000,
        "stored_bytes": 200 * GIB,
        "open_uploads": 20,
        "parallel_trainings": 4,
        "monthly_trainings": 100,
        "training_words": 500_000,
    },
    {
        # By arrangement only.
        "code": "enterprise",
        "name": "Enterprise",
        "is_offered": False,
        "monthly_fee_nanousd": 480 * USD,
        "included_tokens": 250_000_000,
        "monthly_tokens": 2_000_000_000,
        "overage_allowed": True,
        "requests_per_minute": 3_000,
        "tokens_per_minute": 4_000_000,
        "api_requests_per_minute": 1_200,
        "parallel_requests": 128,
        "sequences_per_request": 16,
        "max_output_tokens": 4096,
        "weight": 4,
        "private_styles": 1_000,
        "stored_versions": 5_000,
        "stored_bytes": 500 * GIB,
        "open_uploads": 20,
        "parallel_trainings": 16,
        "monthly_trainings": 1_000,
        "training_words": 1_000_000,
    },
]
# $0.10, $0.025 and $0.40 a million tokens
PRICES = {"input_nanousd": 100, "cached_input_nanousd": 25, "output_nanousd": 400}
TRAINED_TOKEN_NANOUSD = 3_000  # $3 a million tokens


def add_first_plans(apps, schema_editor):
    for facts in PLANS:
        limits = dict(facts)
        plan = apps.get_model("metering", "Plan").objects.create(
            code=limits.pop("code"), name=limits.pop("name"), is_offered=limits.pop("is_offered")
        )
        versions = apps.get_model("metering", "PlanVersion").objects
        versions.create(plan=plan, number=1, effective_from=IN_FORCE_FROM, **limits)
    book = apps.get_model("metering", "PriceBook").objects.create(
        effective_from=IN_FORCE_FROM, trained_token_nanousd=TRAINED_TOKEN_NANOUSD
    )
    apps.get_model("metering", "Price").objects.create(book=book, **PRICES)
    apps.get_model("metering", "InvoiceNumber").objects.create()


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0001_initial"),
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
        migrations.CreateModel(
            name="Plan",
            fields=[
                ("code", models.SlugField(max_length=40, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=60)),
                (
                    "is_offered",
                    models.BooleanField(
                        default=False,
                        help_text="Owners can choose it, and the price list shows it. Other plans are assigned by operators.",
                        verbose_name="public",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CreditGrant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("promotion", "Promotion"),
                            ("top_up", "top-up"),
                            ("author_share", "author's share"),
                            ("goodwill", "Goodwill"),
                        ],
                        max_length=12,
                    ),
                ),
                ("source_id", models.CharField(help_text="For a top-up: the payment's id.", max_length=66)),
                ("amount_nanousd", models.BigIntegerField()),
                (
                    "priority",
                    models.PositiveSmallIntegerField(default=100, help_text="Lower values are used first."),
                ),
                (
                    "first_period",
                    models.CharField(
                        help_text="Month (UTC) in which it was granted, such as 2026-11.", max_length=7
                    ),
                ),
                (
                    "last_period",
                    models.CharField(
                        blank=True,
                        help_text="Expires at the end of this month (UTC). Empty: never.",
                        max_length=7,
                    ),
                ),
                ("reason", core.message_fields.MessageField()),
                ("actor", models.CharField(blank=True, max_length=80)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credit_grants",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="HostedStyle",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style", models.UUIDField()),
                ("style_name", models.CharField(max_length=100)),
                ("period", models.CharField(help_text="Month in UTC, such as 2026-11.", max_length=7)),
                (
                    "noted_at",
                    models.DateTimeField(
                        auto_now_add=True, help_text="When it was first hosted in that month."
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="hosted_styles",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Invoice",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("period", models.CharField(help_text="Month in UTC, such as 2026-11.", max_length=7)),
                ("number", models.PositiveIntegerField(blank=True, null=True, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("finalized", "due"),
                            ("paid", "Paid"),
                            ("void", "Void"),
                        ],
                        default="draft",
                        max_length=10,
                    ),
                ),
                (
                    "plan",
                    models.CharField(help_text="The plan version at the end of the month.", max_length=80),
                ),
                ("total_nanousd", models.BigIntegerField(help_text="In whole cents, once finalized.")),
                (
                    "bill_to",
                    models.TextField(blank=True, help_text="The billing details when it was finalized."),
                ),
                (
                    "issuer",
                    models.TextField(
                        blank=True, help_text="The issuer: INVOICE_ISSUER when it was finalized."
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finalized_at", models.DateTimeField(blank=True, null=True)),
                (
                    "closed_at",
                    models.DateTimeField(blank=True, help_text="When it was paid or voided.", null=True),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invoices",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CreditBurn",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("period", models.CharField(help_text="The month whose usage it paid for.", max_length=7)),
                ("amount_nanousd", models.BigIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "grant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="burns",
                        to="metering.creditgrant",
                    ),
                ),
                (
                    "invoice",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: expired.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credit_burns",
                        to="metering.invoice",
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
                            ("hosting", "Hosting"),
                            ("usage", "Usage"),
                            ("training", "Training"),
                            ("included", "Included"),
                            ("credit", "Credit"),
                            ("adjustment", "Adjustment"),
                            ("rounding", "Rounding"),
                            ("kept", "kept as credits"),
                        ],
                        max_length=12,
                    ),
                ),
                ("text", models.CharField(help_text="In English, frozen with the invoice.", max_length=200)),
                (
                    "message",
                    core.message_fields.MessageField(help_text="The same, for readers of other languages."),
                ),
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
                        to="metering.invoice",
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("usage", "Usage"),
                            ("training", "Training"),
                            ("fee", "Fee"),
                            ("hosting", "Hosting"),
                            ("grant", "Grant"),
                            ("payment", "Payment"),
                            ("adjustment", "Adjustment"),
                            ("writeoff", "Writeoff"),
                            ("rounding", "Rounding"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "source_id",
                    models.CharField(
                        help_text="For usage: the request id. For a training: its id.", max_length=80
                    ),
                ),
                ("period", models.CharField(max_length=7)),
                ("amount_nanousd", models.BigIntegerField(help_text="Positive: owed by the workspace.")),
                ("tokens", models.BigIntegerField(default=0)),
                ("actor", models.CharField(blank=True, max_length=80)),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ledger_entries",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "ledger entries",
            },
        ),
        migrations.CreateModel(
            name="PlanVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("monthly_fee_nanousd", models.BigIntegerField(default=0)),
                ("included_tokens", models.BigIntegerField(default=0)),
                ("monthly_tokens", models.BigIntegerField(help_text="Hard cap on tokens per month.")),
                (
                    "monthly_nanousd",
                    models.BigIntegerField(
                        blank=True, help_text="Hard cap on spending per month. Empty: no cap.", null=True
                    ),
                ),
                ("requests_per_minute", models.PositiveIntegerField()),
                ("tokens_per_minute", models.PositiveIntegerField()),
                ("parallel_requests", models.PositiveIntegerField()),
                ("max_output_tokens", models.PositiveIntegerField()),
                (
                    "sequences_per_request",
                    models.PositiveSmallIntegerField(
                        default=16,
                        help_text="Maximum prompts times `n` per request. Each is a sequence in the engine.",
                    ),
                ),
                (
                    "api_requests_per_minute",
                    models.PositiveIntegerField(
                        default=300, help_text="Per key, for the management API /api/v1."
                    ),
                ),
                ("private_styles", models.PositiveIntegerField()),
                (
                    "stored_versions",
                    models.PositiveIntegerField(
                        default=30, help_text="Versions with stored files, not counting rejected ones."
                    ),
                ),
                (
                    "stored_bytes",
                    models.BigIntegerField(
                        default=2147483648, help_text="Bytes of stored adapters and open uploads."
                    ),
                ),
                (
                    "open_uploads",
                    models.PositiveIntegerField(default=3, help_text="Uploads started but not completed."),
                ),
                (
                    "parallel_trainings",
                    models.PositiveSmallIntegerField(
                        db_default=1, default=1, help_text="Trainings of styles that may run or wait at once."
                    ),
                ),
                (
                    "monthly_trainings",
                    models.PositiveIntegerField(
                        db_default=5,
                        default=5,
                        help_text="Trainings of styles that may be started in a month.",
                    ),
                ),
                (
                    "training_words",
                    models.PositiveIntegerField(
                        db_default=200000,
                        default=200000,
                        help_text="Words of text that one training may learn from.",
                    ),
                ),
                (
                    "weight",
                    models.PositiveSmallIntegerField(default=1, help_text="Relative share of a full engine."),
                ),
                (
                    "effective_from",
                    models.DateTimeField(
                        default=django.utils.timezone.now,
                        help_text="When new subscriptions get it. Existing ones keep their version.",
                    ),
                ),
                ("overage_allowed", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="metering.plan",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PriceBook",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("effective_from", models.DateTimeField(help_text="In UTC; whole minutes.", unique=True)),
                (
                    "style_month_nanousd",
                    models.BigIntegerField(
                        default=0,
                        help_text="Monthly hosting price per private style. Takes effect at the start of the next month.",
                    ),
                ),
                (
                    "trained_token_nanousd",
                    models.PositiveBigIntegerField(
                        db_default=0,
                        default=0,
                        help_text="Price of training a style. A training is charged at the price in effect when it starts.",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("style_month_nanousd__gte", 0)), name="hosting_not_negative"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "is_base",
                    models.BooleanField(default=False, help_text="Price of the base model without a style."),
                ),
                ("input_nanousd", models.BigIntegerField()),
                ("cached_input_nanousd", models.BigIntegerField()),
                ("output_nanousd", models.BigIntegerField()),
                (
                    "book",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prices",
                        to="metering.pricebook",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RefusedRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("request_id", models.CharField(max_length=40, unique=True)),
                ("at", models.DateTimeField()),
                (
                    "model_name",
                    models.CharField(
                        blank=True, help_text="As requested, if the body was read.", max_length=100
                    ),
                ),
                ("status", models.PositiveSmallIntegerField(help_text="HTTP status.")),
                ("code", models.CharField(max_length=60)),
                ("reason", core.message_fields.MessageField()),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="refused_requests",
                        to="tenants.apikey",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="refused_requests",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="StylePrice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style", models.UUIDField()),
                (
                    "style_name",
                    models.CharField(
                        blank=True, help_text="The style's model name at the time.", max_length=100
                    ),
                ),
                ("effective_from", models.DateTimeField(help_text="In UTC; whole minutes.")),
                (
                    "input_nanousd",
                    models.BigIntegerField(
                        blank=True, help_text="Leave all three empty for the standard price.", null=True
                    ),
                ),
                ("cached_input_nanousd", models.BigIntegerField(blank=True, null=True)),
                ("output_nanousd", models.BigIntegerField(blank=True, null=True)),
                (
                    "author_percent",
                    models.PositiveSmallIntegerField(
                        default=0,
                        help_text="Percentage of what other workspaces pay for a public style, for its author.",
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        help_text="Who earns.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                (
                    "plan_version",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="metering.planversion"),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="subscriptions",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TrainingHold",
            fields=[
                ("training", models.UUIDField(primary_key=True, serialize=False)),
                (
                    "token_nanousd",
                    models.BigIntegerField(
                        help_text="In effect when it was held.", verbose_name="price per token"
                    ),
                ),
                ("most_tokens", models.BigIntegerField(help_text="It is never charged for more than these.")),
                ("nanousd", models.BigIntegerField(verbose_name="amount held")),
                (
                    "period",
                    models.CharField(
                        help_text="Month (UTC) in which it was held, such as 2026-11.", max_length=7
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "confirmed_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When it was certain that nothing in flight exceeds what is left.",
                        null=True,
                    ),
                ),
                (
                    "settled_at",
                    models.DateTimeField(blank=True, help_text="When the training was charged.", null=True),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="training_holds",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="UsageDaily",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style_name", models.CharField(max_length=100)),
                ("day", models.DateField()),
                ("requests", models.BigIntegerField(default=0)),
                ("prompt_tokens", models.BigIntegerField(default=0)),
                ("completion_tokens", models.BigIntegerField(default=0)),
                ("cost_nanousd", models.BigIntegerField(default=0)),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="usage_days",
                        to="tenants.apikey",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="usage_days",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "usage by day",
            },
        ),
        migrations.CreateModel(
            name="UsageEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("request_id", models.CharField(max_length=40)),
                ("style", models.UUIDField(help_text="Empty: the base model.", null=True)),
                ("style_name", models.CharField(max_length=100)),
                ("version_number", models.PositiveIntegerField(null=True)),
                ("adapter_sha256", models.CharField(blank=True, max_length=64)),
                ("base_model", models.CharField(max_length=100)),
                ("engine", models.CharField(max_length=60)),
                (
                    "period",
                    models.CharField(help_text="Month of admission (UTC), such as 2026-11.", max_length=7),
                ),
                ("admitted_at", models.DateTimeField()),
                ("prompt_tokens", models.PositiveIntegerField()),
                (
                    "cached_tokens",
                    models.PositiveIntegerField(default=0, help_text="Cached tokens of the prompt."),
                ),
                ("completion_tokens", models.PositiveIntegerField()),
                ("finish_reason", models.CharField(blank=True, max_length=30)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("complete", "Complete"),
                            ("client_disconnect", "client disconnected"),
                            ("upstream_error", "engine failed"),
                            ("swept", "recovered after a crash"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "watermark",
                    models.CharField(
                        blank=True,
                        db_default="",
                        help_text="Such as gumbel; epoch=3, or none; reason=greedy.",
                        max_length=40,
                    ),
                ),
                ("text_sha256", models.CharField(blank=True, db_default="", editable=False, max_length=64)),
                (
                    "constrained",
                    models.CharField(
                        blank=True,
                        db_default="",
                        help_text="Fields of the request that prescribed the text, such as echo logit_bias.",
                        max_length=60,
                    ),
                ),
                ("input_nanousd", models.BigIntegerField(help_text="Price per token.")),
                ("cached_input_nanousd", models.BigIntegerField()),
                ("output_nanousd", models.BigIntegerField()),
                ("cost_nanousd", models.BigIntegerField()),
                ("recorded_at", models.DateTimeField(auto_now_add=True)),
                (
                    "key",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="usage_events",
                        to="tenants.apikey",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="usage_events",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="UsageMinute",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style", models.UUIDField()),
                ("version_number", models.PositiveIntegerField()),
                ("minute", models.DateTimeField()),
                ("requests", models.PositiveIntegerField()),
                ("errors", models.PositiveIntegerField()),
                ("empty", models.PositiveIntegerField()),
                ("completion_tokens", models.BigIntegerField()),
            ],
            options={
                "verbose_name_plural": "usage by minute",
                "indexes": [models.Index(fields=["minute"], name="minutes_oldest")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("style", "minute", "version_number"), name="one_row_a_minute"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AuthorEarning",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style", models.UUIDField()),
                ("style_name", models.CharField(max_length=100)),
                ("day", models.DateField()),
                ("requests", models.BigIntegerField()),
                ("tokens", models.BigIntegerField()),
                ("cost_nanousd", models.BigIntegerField(help_text="Of the usage.")),
                (
                    "share_nanousd",
                    models.BigIntegerField(help_text="Percentage of each request's cost, rounded down."),
                ),
                (
                    "earned_nanousd",
                    models.BigIntegerField(
                        help_text="The earned part of the share, from paid usage. Empty: not decided yet.",
                        null=True,
                    ),
                ),
                (
                    "shares_member",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="The two workspaces had a member in common in that month.",
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="earnings",
                        to="tenants.tenant",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        help_text="Who used it.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["-day", "-id"], name="earnings_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("author", "day", "style", "tenant"), name="one_earning_a_day"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="creditgrant",
            index=models.Index(fields=["tenant", "-id"], name="grants_newest_of_tenant"),
        ),
        migrations.AddConstraint(
            model_name="creditgrant",
            constraint=models.UniqueConstraint(fields=("source", "source_id"), name="one_grant_a_source"),
        ),
        migrations.AddConstraint(
            model_name="creditgrant",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_nanousd__gt", 0)), name="grants_are_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="creditgrant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("last_period", ""), ("last_period__gte", models.F("first_period")), _connector="OR"
                ),
                name="grants_end_after_they_begin",
            ),
        ),
        migrations.AddIndex(
            model_name="hostedstyle",
            index=models.Index(fields=["tenant", "-period", "-id"], name="hosted_newest_of_tenant"),
        ),
        migrations.AddIndex(
            model_name="hostedstyle",
            index=models.Index(fields=["-period", "-id"], name="hosted_newest"),
        ),
        migrations.AddConstraint(
            model_name="hostedstyle",
            constraint=models.UniqueConstraint(fields=("style", "period"), name="hosted_once_a_month"),
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
            model_name="creditburn",
            constraint=models.UniqueConstraint(
                condition=models.Q(("amount_nanousd__gt", 0)),
                fields=("grant", "invoice", "period"),
                name="one_burn_an_invoice",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="creditburn",
            constraint=models.UniqueConstraint(
                condition=models.Q(("amount_nanousd__lt", 0)),
                fields=("grant", "invoice", "period"),
                name="given_back_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="creditburn",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount_nanousd__gt", 0),
                    models.Q(("amount_nanousd__lt", 0), ("invoice__isnull", False)),
                    _connector="OR",
                ),
                name="only_invoices_give_back",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoiceline",
            constraint=models.UniqueConstraint(fields=("invoice", "position"), name="one_line_a_position"),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["tenant", "-period", "-id"], name="ledger_newest_of_tenant"),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["-period", "-id"], name="ledger_newest"),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["kind", "-period", "-id"], name="ledger_newest_of_kind"),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.UniqueConstraint(fields=("kind", "source_id"), name="one_entry_a_source"),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.UniqueConstraint(fields=("plan", "number"), name="one_plan_version"),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("weight__gte", 1)), name="weight_at_least_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("sequences_per_request__gte", 1)), name="one_sequence_at_least"
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(fields=("book", "is_base"), name="one_price_a_book"),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("cached_input_nanousd__gte", 0), ("input_nanousd__gte", 0), ("output_nanousd__gte", 0)
                ),
                name="prices_not_negative",
            ),
        ),
        migrations.AddIndex(
            model_name="refusedrequest",
            index=models.Index(fields=["tenant", "-at", "-id"], name="refused_newest_of_tenant"),
        ),
        migrations.AddIndex(
            model_name="refusedrequest",
            index=models.Index(fields=["at"], name="refused_oldest"),
        ),
        migrations.AddConstraint(
            model_name="styleprice",
            constraint=models.UniqueConstraint(
                fields=("style", "effective_from"), name="one_style_price_a_moment"
            ),
        ),
        migrations.AddConstraint(
            model_name="styleprice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("cached_input_nanousd", None), ("input_nanousd", None), ("output_nanousd", None)
                    ),
                    models.Q(
                        ("cached_input_nanousd__gte", 0),
                        ("input_nanousd__gte", 0),
                        ("output_nanousd__gte", 0),
                    ),
                    _connector="OR",
                ),
                name="style_prices_are_three",
            ),
        ),
        migrations.AddConstraint(
            model_name="styleprice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("author_percent", 0),
                    models.Q(("author__isnull", False), ("author_percent__lte", 100)),
                    _connector="OR",
                ),
                name="style_share_has_an_author",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ends_at", None)), fields=("tenant",), name="one_open_subscription"
            ),
        ),
        migrations.AddIndex(
            model_name="traininghold",
            index=models.Index(fields=["-created_at", "-training"], name="training_holds_newest"),
        ),
        migrations.AddIndex(
            model_name="traininghold",
            index=models.Index(
                condition=models.Q(("settled_at", None)),
                fields=["tenant"],
                name="open_training_holds_of_tenant",
            ),
        ),
        migrations.AddConstraint(
            model_name="traininghold",
            constraint=models.CheckConstraint(
                condition=models.Q(("most_tokens__gte", 0), ("token_nanousd__gte", 0)),
                name="held_tokens_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="traininghold",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "nanousd",
                        django.db.models.expressions.CombinedExpression(
                            models.F("most_tokens"), "*", models.F("token_nanousd")
                        ),
                    )
                ),
                name="held_at_the_price",
            ),
        ),
        migrations.AddIndex(
            model_name="usagedaily",
            index=models.Index(fields=["-day", "-id"], name="daily_newest"),
        ),
        migrations.AddIndex(
            model_name="usagedaily",
            index=models.Index(fields=["tenant", "-day", "-id"], name="daily_newest_of_tenant"),
        ),
        migrations.AddIndex(
            model_name="usagedaily",
            index=models.Index(fields=["style_name", "-day", "-id"], name="daily_newest_of_style"),
        ),
        migrations.AddConstraint(
            model_name="usagedaily",
            constraint=models.UniqueConstraint(
                fields=("tenant", "day", "style_name", "key"), name="one_row_a_day"
            ),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(fields=["tenant", "-admitted_at", "-id"], name="usage_newest_of_tenant"),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(fields=["style", "-admitted_at"], name="usage_of_style"),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(
                fields=["tenant", "style_name", "-admitted_at", "-id"], name="usage_newest_of_name"
            ),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(fields=["key", "-admitted_at", "-id"], name="usage_newest_of_key"),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(
                condition=models.Q(("outcome", "complete"), _negated=True),
                fields=["tenant", "-admitted_at", "-id"],
                name="usage_newest_broken",
            ),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(fields=["-admitted_at", "-id"], name="usage_newest"),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(fields=["outcome", "-admitted_at", "-id"], name="usage_by_outcome"),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(fields=["engine", "-admitted_at", "-id"], name="usage_by_engine"),
        ),
        migrations.AddConstraint(
            model_name="usageevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("cached_tokens__lte", models.F("prompt_tokens"))),
                name="cached_within_prompt",
            ),
        ),
        migrations.AddConstraint(
            model_name="usageevent",
            constraint=models.UniqueConstraint(fields=("request_id", "period"), name="one_event_a_request"),
        ),
        migrations.RunSQL((SQL / "partitions.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((SQL / "guards.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunPython(add_first_plans, migrations.RunPython.noop),
    ]
