import uuid
from pathlib import Path

import django.contrib.postgres.fields
import django.core.serializers.json
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import core.message_fields
import core.messages
import core.names
import tenants.models.keys

SQL = Path(__file__).parent


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

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
            name="ServiceSample",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(help_text="Start of the minute.", unique=True)),
                (
                    "totals",
                    models.JSONField(
                        help_text="Requests, tokens, errors by code, times to first byte by bucket."
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="UsageArchive",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "period",
                    models.CharField(help_text="Month in UTC, such as 2026-08.", max_length=7, unique=True),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("exporting", "Exporting"),
                            ("exported", "exported and verified"),
                            ("detached", "detached, table not yet dropped"),
                            ("archived", "Archived"),
                        ],
                        default="exporting",
                        max_length=12,
                    ),
                ),
                (
                    "object_key",
                    models.CharField(help_text="SHA-256 of the gzipped CSV in the bucket.", max_length=120),
                ),
                ("sha256", models.CharField(blank=True, max_length=64)),
                (
                    "events",
                    models.BigIntegerField(default=0, help_text="Including workspaces without usage."),
                ),
                ("tokens", models.BigIntegerField(default=0)),
                ("cost_nanousd", models.BigIntegerField(default=0)),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        editable=False,
                        help_text="The operator's reason. Archives with a reason are created by a worker.",
                        max_length=300,
                    ),
                ),
                (
                    "problem",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        editable=False,
                        help_text="Why the worker failed. It retries when an operator requests it.",
                        max_length=300,
                    ),
                ),
                ("begun_at", models.DateTimeField(auto_now_add=True)),
                ("archived_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-period"],
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                (
                    "date_joined",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined"),
                ),
                ("email", models.EmailField(max_length=254, unique=True, verbose_name="e-mail")),
                (
                    "first_name",
                    models.CharField(
                        blank=True,
                        max_length=150,
                        validators=[core.names.validate_name],
                        verbose_name="first name",
                    ),
                ),
                (
                    "last_name",
                    models.CharField(
                        blank=True,
                        max_length=150,
                        validators=[core.names.validate_name],
                        verbose_name="last name",
                    ),
                ),
                (
                    "review_keys_since",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="When the password was reset or the email address changed. Empty once reviewed.",
                        null=True,
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        blank=True,
                        choices=[("", "Browser default"), ("en", "English"), ("de", "Deutsch")],
                        default="",
                        help_text="Language of pages and emails.",
                        max_length=8,
                    ),
                ),
                (
                    "person",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        editable=False,
                        help_text="The person who shares the free plan (billing/persons.py), once the address has changed.",
                        max_length=64,
                    ),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=60, validators=[core.names.validate_name])),
                (
                    "digest",
                    models.CharField(
                        editable=False,
                        help_text="HMAC-SHA256 of the secret in hex; none for the studio's own key, which has no secret.",
                        max_length=64,
                        null=True,
                        unique=True,
                    ),
                ),
                ("pepper", models.PositiveSmallIntegerField(default=1, editable=False)),
                ("prefix", models.CharField(blank=True, editable=False, max_length=16)),
                ("last4", models.CharField(blank=True, editable=False, max_length=4)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("inference", "Generate text with styles"),
                                ("styles:read", "View styles, versions and reports"),
                                ("styles:write", "Upload, edit, release, share and delete styles"),
                                ("keys:write", "View, create, limit and revoke API keys"),
                                ("usage:read", "View usage and the request log"),
                                ("billing:read", "View the plan, prices and spending"),
                                ("members:write", "View and manage members"),
                                ("webhooks:write", "View and manage webhooks and their secrets"),
                                ("admin", "All of the above, and manage the workspace"),
                            ],
                            max_length=20,
                        ),
                        default=tenants.models.keys.default_scopes,
                    ),
                ),
                (
                    "styles",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(),
                        blank=True,
                        help_text="Only these styles. Empty: all styles of the workspace.",
                        null=True,
                    ),
                ),
                (
                    "monthly_tokens",
                    models.BigIntegerField(
                        blank=True, help_text="Monthly token limit of this key.", null=True
                    ),
                ),
                (
                    "monthly_nanousd",
                    models.BigIntegerField(blank=True, help_text="Monthly budget of this key.", null=True),
                ),
                ("requests_per_minute", models.PositiveIntegerField(blank=True, null=True)),
                ("tokens_per_minute", models.PositiveIntegerField(blank=True, null=True)),
                ("parallel_requests", models.PositiveIntegerField(blank=True, null=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "replaced_by",
                    models.OneToOneField(
                        blank=True,
                        editable=False,
                        help_text="The key that replaced it when it was rotated. This one expires a while later.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="replaces",
                        to="tenants.apikey",
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
            },
        ),
        migrations.CreateModel(
            name="FailedTask",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("task", models.CharField(max_length=100)),
                ("digest", models.CharField(editable=False, help_text="Of its arguments.", max_length=64)),
                (
                    "args",
                    models.JSONField(
                        default=list,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                        help_text="Ids; secrets are masked.",
                    ),
                ),
                (
                    "kwargs",
                    models.JSONField(default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                (
                    "is_masked",
                    models.BooleanField(
                        default=False, help_text="Some arguments were hidden, so it can't be run again."
                    ),
                ),
                ("queue", models.CharField(blank=True, max_length=80)),
                ("error", models.CharField(max_length=500)),
                ("traceback", models.TextField(blank=True)),
                ("times", models.PositiveIntegerField(default=1)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField(db_index=True)),
                (
                    "retried_at",
                    models.DateTimeField(
                        blank=True, help_text="When an operator last ran it again.", null=True
                    ),
                ),
            ],
            options={
                "verbose_name": "failed job",
                "constraints": [
                    models.UniqueConstraint(fields=("task", "digest"), name="one_row_a_failing_task")
                ],
            },
        ),
        migrations.CreateModel(
            name="Founding",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("person", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [models.Index(fields=["person", "created_at"], name="founding_of_person")],
            },
        ),
        migrations.CreateModel(
            name="FreeUsage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("pool", models.CharField(max_length=64)),
                ("period", models.CharField(max_length=7)),
                ("tokens", models.BigIntegerField(default=0)),
            ],
            options={
                "verbose_name_plural": "free usage",
                "constraints": [
                    models.UniqueConstraint(fields=("period", "pool"), name="one_free_usage_a_month")
                ],
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
                        to="tenants.plan",
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
            name="Tenant",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "slug",
                    models.SlugField(
                        help_text="Prefix of its styles: acme/brand-voice.", max_length=40, unique=True
                    ),
                ),
                ("name", models.CharField(max_length=80, validators=[core.names.validate_name])),
                (
                    "is_first_party",
                    models.BooleanField(
                        default=False, help_text="Owns the public styles that have no prefix."
                    ),
                ),
                (
                    "monthly_nanousd",
                    models.BigIntegerField(
                        blank=True,
                        help_text="Its own monthly budget. Empty: only the plan's cap applies.",
                        null=True,
                    ),
                ),
                (
                    "default_style",
                    models.UUIDField(
                        blank=True,
                        editable=False,
                        help_text="Default style of the playground and code samples.",
                        null=True,
                    ),
                ),
                (
                    "key_limits",
                    models.JSONField(
                        blank=True, editable=False, help_text="Default limits of new API keys.", null=True
                    ),
                ),
                (
                    "key_lifetime_days",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        default=365,
                        editable=False,
                        help_text="Default lifetime of new API keys, in days. Empty: no expiration.",
                        null=True,
                    ),
                ),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "suspended_reason",
                    models.CharField(
                        blank=True,
                        db_default="",
                        editable=False,
                        help_text="Visible to members.",
                        max_length=300,
                    ),
                ),
                (
                    "deletion_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="Scheduled deletion, requested by an owner. Any owner can cancel it until then.",
                        null=True,
                    ),
                ),
                (
                    "deleted_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="When it was deleted. It can no longer be used, and its styles are being erased.",
                        null=True,
                    ),
                ),
                (
                    "erased_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="When the last file of its styles was erased.",
                        null=True,
                    ),
                ),
                ("generation", models.PositiveBigIntegerField(default=1, editable=False)),
                ("observed_generation", models.PositiveBigIntegerField(default=0, editable=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "deletion_asked_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        help_text="Who requested it. Empty: an API key or operators.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "workspace",
            },
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
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="tenants.planversion"),
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
            name="ReachedThreshold",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("period", models.CharField(max_length=7)),
                (
                    "measure",
                    models.CharField(
                        choices=[
                            ("tokens", "Tokens"),
                            ("cap", "Cap"),
                            ("budget", "Budget"),
                            ("credits", "Credits"),
                        ],
                        max_length=10,
                    ),
                ),
                ("percent", models.PositiveSmallIntegerField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reached_thresholds",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RaisedLimit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "limit",
                    models.CharField(
                        choices=[
                            ("requests_per_minute", "requests per minute"),
                            ("tokens_per_minute", "tokens per minute"),
                            ("parallel_requests", "concurrent requests"),
                            ("max_output_tokens", "tokens per answer"),
                            ("sequences_per_request", "sequences per request"),
                            ("private_styles", "private styles"),
                            ("stored_versions", "stored versions"),
                            ("stored_bytes", "stored bytes"),
                            ("open_uploads", "open uploads"),
                        ],
                        max_length=30,
                    ),
                ),
                (
                    "amount",
                    models.BigIntegerField(
                        help_text="The total, not in addition to the plan's limit.", verbose_name="how many"
                    ),
                ),
                ("starts_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "ends_at",
                    models.DateTimeField(
                        help_text="In UTC. After that, the plan's limit applies again.", verbose_name="until"
                    ),
                ),
                ("reason", models.CharField(blank=True, editable=False, max_length=300)),
                (
                    "actor",
                    models.ForeignKey(
                        editable=False,
                        help_text="Who raised it.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="raised_limits",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
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
                ("style", models.UUIDField(blank=True, null=True)),
                (
                    "style_name",
                    models.CharField(
                        blank=True, help_text="The style's model name at the time.", max_length=100
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
                    "author_percent",
                    models.PositiveSmallIntegerField(
                        default=0,
                        help_text="Percentage of what other workspaces pay for a public style, for its author.",
                    ),
                ),
                (
                    "book",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prices",
                        to="tenants.pricebook",
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
            name="OutboxEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("version.serving", "A version started serving."),
                            ("version.rejected", "An upload failed validation."),
                            ("version.failed", "No engine could load a version."),
                            ("version.retired", "A version was retired."),
                            ("release.promoted", "A style's live version changed."),
                            ("release.rolled_back", "A style was rolled back to its previous version."),
                            ("canary.ended", "A canary ended, manually or because of its metrics."),
                            ("style.shared", "Another workspace shared a style with this one."),
                            ("style.offer_decided", "An offer was approved or declined."),
                            ("style.price_announced", "The price of a selected style will change."),
                            ("key.created", "An API key was created."),
                            ("key.rotated", "An API key's secret was rotated."),
                            ("key.revoked", "An API key was revoked."),
                            ("usage.threshold_reached", "Usage reached 50, 80 or 100% of a monthly limit."),
                            ("credit.granted", "Credits were added to the workspace."),
                            ("credit.expired", "Unused credits expired."),
                            ("invoice.finalized", "A monthly invoice was finalized."),
                            ("invoice.paid", "An invoice was paid."),
                            ("invoice.voided", "An invoice was voided."),
                            ("credit_note.issued", "An invoice was corrected by a credit note."),
                            ("plan.changed", "The plan was changed, effective `takes_effect_at`."),
                            ("payment.succeeded", "A payment succeeded, for a top-up or an invoice."),
                            ("payment.failed", "A payment failed, such as an automatic top-up."),
                            ("workspace.suspended", "The workspace was suspended."),
                            ("workspace.resumed", "The workspace's suspension was lifted."),
                            (
                                "workspace.deletion_requested",
                                "An owner requested deletion of the workspace. Any owner can cancel it until `deletion_at`.",
                            ),
                            ("workspace.deletion_stopped", "The deletion of the workspace was canceled."),
                            ("erasure.completed", "A version's files were completely erased."),
                            (
                                "webhook.disabled",
                                "An endpoint returned 410, failed for three days, or was disabled by operators.",
                            ),
                            ("webhook.test", "A test event, sent only to the endpoint under test."),
                        ],
                        max_length=40,
                    ),
                ),
                (
                    "object",
                    models.JSONField(
                        decoder=core.messages.MessageDecoder,
                        encoder=core.messages.MessageEncoder,
                        help_text="As the API presents it, with messages.",
                    ),
                ),
                (
                    "facts",
                    models.JSONField(
                        decoder=core.messages.MessageDecoder,
                        default=dict,
                        encoder=core.messages.MessageEncoder,
                        help_text="Additional data.",
                    ),
                ),
                ("created_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "Owner"),
                            ("admin", "Admin"),
                            ("member", "Member"),
                            ("billing", "Billing manager"),
                            ("viewer", "Viewer"),
                        ],
                        default="member",
                        max_length=10,
                    ),
                ),
                (
                    "muted_notices",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=20),
                        blank=True,
                        default=list,
                        editable=False,
                        help_text="Kinds of notices the member switched off for this workspace.",
                    ),
                ),
                (
                    "steps_hidden_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="When the member dismissed the next steps on Home.",
                        null=True,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "last_seen_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="When the member last opened a page of the workspace.",
                        null=True,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="tenants.tenant",
                    ),
                ),
            ],
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
                ("source_id", models.CharField(help_text="For usage: the request id.", max_length=80)),
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
            name="Invitation",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("email", models.EmailField(max_length=254, verbose_name="e-mail")),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "Owner"),
                            ("admin", "Admin"),
                            ("member", "Member"),
                            ("billing", "Billing manager"),
                            ("viewer", "Viewer"),
                        ],
                        default="member",
                        max_length=10,
                    ),
                ),
                (
                    "digest",
                    models.CharField(
                        editable=False,
                        help_text="SHA-256 of the token in the emailed link.",
                        max_length=64,
                        unique=True,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "mailed_at",
                    models.DateTimeField(
                        editable=False, help_text="Empty: not accepted by the mail server yet.", null=True
                    ),
                ),
                ("expires_at", models.DateTimeField()),
                (
                    "invited_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to="tenants.tenant",
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
            name="FormerMember",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("person", models.CharField(max_length=64)),
                ("left_at", models.DateTimeField(auto_now_add=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="former_members",
                        to="tenants.tenant",
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
            name="CachedAnswer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "caller",
                    models.CharField(
                        help_text="key:<id> or user:<id>: others may use the same name.", max_length=50
                    ),
                ),
                ("name_digest", models.CharField(help_text="SHA-256 of the Idempotency-Key.", max_length=64)),
                (
                    "request_digest",
                    models.CharField(help_text="SHA-256 of method, path and body.", max_length=64),
                ),
                ("status", models.PositiveSmallIntegerField()),
                ("body", models.BinaryField(help_text="Can be decrypted only with the Idempotency-Key.")),
                ("created_at", models.DateTimeField(auto_now_add=True, db_index=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="cached_answers",
                        to="tenants.tenant",
                    ),
                ),
            ],
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
        ),
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
                (
                    "object_type",
                    models.CharField(help_text="The model, such as tenants.tenant.", max_length=60),
                ),
                ("object_id", models.CharField(max_length=100)),
                ("object_name", models.CharField(max_length=200)),
                ("reason", models.CharField(blank=True, max_length=300)),
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
                ("address", models.GenericIPAddressField(help_text="Client IP address.", null=True)),
                (
                    "position",
                    models.PositiveBigIntegerField(
                        editable=False,
                        help_text="Position in the chain, starting at 1. Empty: not linked yet.",
                        null=True,
                        unique=True,
                    ),
                ),
                ("previous_hash", models.CharField(blank=True, db_default="", editable=False, max_length=64)),
                (
                    "hash",
                    models.CharField(
                        blank=True,
                        db_default="",
                        editable=False,
                        help_text="SHA-256 of the entry and the previous hash.",
                        max_length=64,
                    ),
                ),
                (
                    "actor",
                    models.ForeignKey(
                        help_text="Empty: a program.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="audit_entries",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "api_key",
                    models.ForeignKey(
                        help_text="The API key used.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="audit_entries",
                        to="tenants.apikey",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        help_text="The workspace whose log shows the entry. Empty: visible to operators only.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="audit_entries",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit log",
            },
        ),
        migrations.AddField(
            model_name="apikey",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="keys",
                to="tenants.tenant",
                verbose_name="workspace",
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="default_workspace",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                help_text="The most recently opened workspace. The next session starts there.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="tenants.tenant",
            ),
        ),
        migrations.CreateModel(
            name="ArchivedUsage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style_name", models.CharField(max_length=100)),
                ("meter", models.CharField(max_length=12)),
                ("unit_nanousd", models.BigIntegerField()),
                ("tokens", models.BigIntegerField()),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="archived_usage",
                        to="tenants.tenant",
                    ),
                ),
                (
                    "archive",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="usage",
                        to="tenants.usagearchive",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ArchivedShare",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style", models.UUIDField()),
                (
                    "share_nanousd",
                    models.BigIntegerField(help_text="Percentage of each request's cost, rounded down."),
                ),
                (
                    "author",
                    models.ForeignKey(
                        help_text="Who earned.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
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
                (
                    "archive",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="shares",
                        to="tenants.usagearchive",
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
            name="WebhookEndpoint",
            fields=[
                (
                    "leased_until",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="One worker has it until then at most.",
                        null=True,
                    ),
                ),
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("url", models.CharField(max_length=500)),
                ("description", models.CharField(blank=True, max_length=200)),
                (
                    "event_types",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40),
                        blank=True,
                        default=list,
                        help_text="Empty: all types.",
                    ),
                ),
                ("sealed_secret", models.TextField(editable=False)),
                ("sealed_previous_secret", models.TextField(blank=True, editable=False)),
                ("previous_secret_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("is_enabled", models.BooleanField(default=True)),
                ("disabled_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("disabled_reason", core.message_fields.MessageField(editable=False)),
                (
                    "failing_since",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="Time of the first failure since the last success.",
                        null=True,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhook_endpoints",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "Pending"), ("delivered", "Delivered"), ("failed", "Failed")],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("attempted_at", models.DateTimeField(help_text="When the last attempt began.", null=True)),
                (
                    "status_code",
                    models.PositiveSmallIntegerField(help_text="From the last response.", null=True),
                ),
                ("latency_ms", models.PositiveIntegerField(help_text="From the last attempt.", null=True)),
                ("answer", models.TextField(blank=True, help_text="The first 2 KB of the last response.")),
                ("failure", core.message_fields.MessageField(help_text="Why the last attempt failed.")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="tenants.outboxevent",
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="tenants.webhookendpoint",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "webhook deliveries",
            },
        ),
        migrations.CreateModel(
            name="WorkspaceNote",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "text",
                    models.TextField(
                        help_text="Visible to operators only.", max_length=2000, verbose_name="note"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "author",
                    models.ForeignKey(
                        editable=False,
                        help_text="Author.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notes",
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
                        to="tenants.creditgrant",
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
                        to="tenants.invoice",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("amount_nanousd__gt", 0)),
                        fields=("grant", "invoice", "period"),
                        name="one_burn_an_invoice",
                        nulls_distinct=False,
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("amount_nanousd__lt", 0)),
                        fields=("grant", "invoice", "period"),
                        name="given_back_once",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("amount_nanousd__gt", 0),
                            models.Q(("amount_nanousd__lt", 0), ("invoice__isnull", False)),
                            _connector="OR",
                        ),
                        name="only_invoices_give_back",
                    ),
                ],
            },
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
                            ("included", "Included"),
                            ("credit", "Credit"),
                            ("adjustment", "Adjustment"),
                            ("rounding", "Rounding"),
                            ("kept", "kept as credits"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "period",
                    models.CharField(help_text="Set if recorded late: the earlier month.", max_length=7),
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
                        to="tenants.invoice",
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
                "constraints": [
                    models.UniqueConstraint(fields=("invoice", "position"), name="one_line_a_position")
                ],
            },
        ),
        migrations.CreateModel(
            name="NoticeMail",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "leased_until",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="One worker has it until then at most.",
                        null=True,
                    ),
                ),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("usage", "Usage reaches 50, 80 or 100% of a month's tokens, budget or credits"),
                            ("uploads", "An uploaded version is rejected or can't be loaded"),
                            ("canaries", "A canary ends automatically"),
                            ("shares", "Another workspace shares a style with this one"),
                            ("offers", "An offer to the public catalogue is approved or declined"),
                            (
                                "webhooks",
                                "A webhook endpoint is disabled, by operators or after failing for three days",
                            ),
                            ("invoices", "A month's invoice is ready"),
                            (
                                "payments",
                                "The plan or a selected style's price changes, or an automatic top-up is declined",
                            ),
                            ("keys", "An API key is created, rotated or revoked"),
                            ("workspace", "The workspace is suspended, reinstated or scheduled for deletion"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("sent", "Sent"),
                            ("skipped", "Skipped: too many of its kind within an hour"),
                            ("unwanted", "Switched off before it was sent"),
                            ("failed", "Failed"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "ended_at",
                    models.DateTimeField(help_text="When it was sent, skipped or abandoned.", null=True),
                ),
                (
                    "failure",
                    models.CharField(blank=True, help_text="Why the last attempt failed.", max_length=300),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "membership",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mails",
                        to="tenants.membership",
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mails",
                        to="tenants.outboxevent",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["membership", "kind", "ended_at"], name="mails_of_a_member"),
                    models.Index(
                        condition=models.Q(("status", "pending")),
                        fields=["next_attempt_at"],
                        name="mails_to_send",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("event", "membership"), name="one_mail_a_member")
                ],
            },
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
            model_name="tenant",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_first_party", True)),
                fields=("is_first_party",),
                name="one_first_party_tenant",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ends_at", None)), fields=("tenant",), name="one_open_subscription"
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
            model_name="reachedthreshold",
            constraint=models.UniqueConstraint(
                fields=("tenant", "period", "measure", "percent"), name="reached_once"
            ),
        ),
        migrations.AddIndex(
            model_name="raisedlimit",
            index=models.Index(fields=["tenant", "ends_at"], name="raised_limits_of_a_workspace"),
        ),
        migrations.AddConstraint(
            model_name="raisedlimit",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="raised_limit_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="raisedlimit",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_at__gte", models.F("starts_at"))), name="raised_limit_ends_later"
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(
                fields=("book", "style", "is_base"), name="one_price_a_style", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(("style", None), ("is_base", False), _connector="OR"),
                name="price_of_one_thing",
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("author_percent", 0),
                    models.Q(
                        ("author__isnull", False), ("author_percent__lte", 100), ("style__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="share_has_an_author",
            ),
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
            model_name="outboxevent",
            index=models.Index(fields=["tenant", "-created_at"], name="events_of_a_tenant"),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(fields=("tenant", "user"), name="one_membership"),
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
        migrations.AddIndex(
            model_name="invitation",
            index=models.Index(fields=["expires_at"], name="invitation_end"),
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.UniqueConstraint(
                models.F("tenant"),
                django.db.models.functions.text.Lower("email"),
                name="one_invitation_per_address",
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
            model_name="formermember",
            index=models.Index(fields=["left_at"], name="former_members_oldest"),
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
        migrations.AddConstraint(
            model_name="cachedanswer",
            constraint=models.UniqueConstraint(
                fields=("tenant", "caller", "name_digest"), name="one_answer_a_name"
            ),
        ),
        migrations.AddIndex(
            model_name="authorearning",
            index=models.Index(fields=["-day", "-id"], name="earnings_newest"),
        ),
        migrations.AddConstraint(
            model_name="authorearning",
            constraint=models.UniqueConstraint(
                fields=("author", "day", "style", "tenant"), name="one_earning_a_day"
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["object_type", "object_id"], name="audit_of_a_row"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["tenant", "-id"], name="audit_of_a_workspace"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["action", "-id"], name="audit_of_an_action"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(condition=models.Q(("position", None)), fields=["id"], name="audit_to_link"),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.UniqueConstraint(
                condition=models.Q(("digest", None)), fields=("tenant",), name="one_studio_key"
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("email"), name="one_user_per_address"
            ),
        ),
        migrations.AddConstraint(
            model_name="archivedusage",
            constraint=models.UniqueConstraint(
                fields=("archive", "tenant", "style_name", "meter", "unit_nanousd"),
                name="archived_usage_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="archivedshare",
            constraint=models.UniqueConstraint(
                fields=("archive", "author", "tenant", "style"), name="archived_share_once"
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
        migrations.AddIndex(
            model_name="webhookendpoint",
            index=models.Index(fields=["tenant", "-created_at"], name="endpoints_of_a_tenant"),
        ),
        migrations.AddConstraint(
            model_name="webhookendpoint",
            constraint=models.UniqueConstraint(fields=("tenant", "url"), name="one_endpoint_a_url"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["endpoint", "-id"], name="deliveries_newest"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("status", "pending")),
                fields=["endpoint", "id"],
                name="deliveries_pending",
            ),
        ),
        migrations.AddIndex(
            model_name="workspacenote",
            index=models.Index(fields=["tenant", "-id"], name="notes_of_a_workspace"),
        ),
        migrations.RunSQL((SQL / "partitions.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((SQL / "guards.sql").read_text(), migrations.RunSQL.noop),
    ]
