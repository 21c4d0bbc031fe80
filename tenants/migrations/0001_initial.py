"""People, workspaces, memberships, API keys, and the audit log, which the database keeps append-only."""

import uuid
from pathlib import Path

import django.contrib.postgres.fields
import django.core.serializers.json
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

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
                        help_text="Who it is to the free plan (tenants/persons.py), once the address has changed.",
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
                                ("drafts:write", "View, edit and delete your drafts"),
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
                (
                    "is_watermarked",
                    models.BooleanField(
                        db_default=True,
                        default=True,
                        help_text="Turn it off for text that only programs read.",
                    ),
                ),
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
                    "unpaid_cap_nanousd",
                    models.BigIntegerField(
                        blank=True,
                        help_text="How much usage beyond the included tokens may be unpaid until it pays its first invoice. Also lets it choose a plan that invoices usage before any payment. Empty: MAX_UNPAID_USD.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
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
                    "is_watermarked",
                    models.BooleanField(
                        db_default=True,
                        default=True,
                        editable=False,
                        help_text="Whether its answers are watermarked, where the service allows to turn that off.",
                    ),
                ),
                (
                    "responses_kept_days",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        editable=False,
                        help_text="How long responses and conversations are stored, in days. Empty: they are not stored.",
                        null=True,
                    ),
                ),
                (
                    "responses_kept_since",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="What was stored before this is never readable again, however the days are changed.",
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
            name="FormerMember",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("person", models.CharField(max_length=64)),
                ("was_owner", models.BooleanField(db_default=False, default=False)),
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
        migrations.AddConstraint(
            model_name="tenant",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_first_party", True)),
                fields=("is_first_party",),
                name="one_first_party_tenant",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(fields=("tenant", "user"), name="one_membership"),
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
            model_name="formermember",
            index=models.Index(fields=["left_at"], name="former_members_oldest"),
        ),
        migrations.AddConstraint(
            model_name="cachedanswer",
            constraint=models.UniqueConstraint(
                fields=("tenant", "caller", "name_digest"), name="one_answer_a_name"
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
        migrations.RunSQL((SQL / "guards.sql").read_text(), migrations.RunSQL.noop),
    ]
