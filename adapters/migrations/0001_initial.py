"""Styles, versions, engines and placements."""

import uuid

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import adapters.models.engines
import adapters.models.versions
import core.message_fields
import core.messages


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BaseModel",
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
                        help_text="The name under which the engine serves it.", max_length=100, unique=True
                    ),
                ),
                ("config", models.JSONField(help_text="Its config.json.")),
                (
                    "modules",
                    models.JSONField(
                        help_text='Per linear module, e.g. model.layers.0.self_attn.q_proj: {"out": rows, "in": columns, "norm": Frobenius norm of the weight}.'
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="AdapterVersion",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("uploading", "Uploading"),
                            ("uploaded", "Uploaded"),
                            ("valid", "Valid"),
                            ("rejected", "Rejected"),
                            ("pushing", "Pushing"),
                            ("serving", "Serving"),
                            ("failed", "Failed"),
                            ("retired", "Retired"),
                        ],
                        db_index=True,
                        default="uploading",
                        max_length=12,
                    ),
                ),
                (
                    "files",
                    models.JSONField(default=dict, help_text="File name → size in bytes, as announced."),
                ),
                (
                    "multipart",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="File name → upload_id, part_bytes of multipart uploads. Empty: uploaded in one request.",
                    ),
                ),
                ("size_bytes", models.BigIntegerField(default=0)),
                (
                    "stored_bytes",
                    models.BigIntegerField(
                        default=0, help_text="Bytes stored or to be uploaded. Counts towards the plan."
                    ),
                ),
                (
                    "sha256",
                    models.CharField(
                        blank=True, help_text="SHA-256 of adapter_model.safetensors.", max_length=64
                    ),
                ),
                (
                    "fingerprint",
                    models.BinaryField(
                        db_default=b"",
                        default=b"",
                        help_text="A fingerprint of its weights, to detect copies.",
                    ),
                ),
                (
                    "config_sha256",
                    models.CharField(blank=True, help_text="SHA-256 of adapter_config.json.", max_length=64),
                ),
                ("rank", models.PositiveIntegerField(null=True)),
                ("alpha", models.FloatField(null=True)),
                ("target_modules", models.JSONField(default=list)),
                (
                    "findings",
                    adapters.models.versions.FindingsField(
                        default=list,
                        encoder=core.messages.MessageEncoder,
                        help_text="Validation report: codes and facts.",
                    ),
                ),
                ("note", core.message_fields.MessageField(help_text="What the current step is waiting for.")),
                ("failure", core.message_fields.MessageField(help_text="Why no engine could load it.")),
                (
                    "stated_quantisation",
                    models.CharField(
                        blank=True,
                        help_text="Quantisation of the training base model, as stated by the uploader: none, 4-bit, …",
                        max_length=30,
                    ),
                ),
                (
                    "conversions",
                    models.JSONField(
                        default=list,
                        help_text="Codes of the automatic conversions that would correct a rejected version.",
                    ),
                ),
                (
                    "examinations",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="Number of times its check was started."
                    ),
                ),
                (
                    "examined_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When its check was last started. Determines the order between workspaces.",
                        null=True,
                    ),
                ),
                (
                    "auto_promote",
                    models.BooleanField(default=True, help_text="Goes live as soon as it is serving."),
                ),
                (
                    "handed_in_at",
                    models.DateTimeField(blank=True, help_text="When the upload was completed.", null=True),
                ),
                (
                    "approved_at",
                    models.DateTimeField(
                        blank=True, help_text="When operators approved it for other workspaces.", null=True
                    ),
                ),
                (
                    "provenance",
                    models.JSONField(
                        blank=True,
                        db_default={},
                        default=dict,
                        help_text="Where it comes from if it was trained here: training, recipe, texts, statement of rights.",
                    ),
                ),
                (
                    "share_refusal",
                    core.message_fields.MessageField(
                        db_default={},
                        help_text="Why other workspaces can't have it: what its evaluation found.",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "files_gone_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When its files were erased everywhere. The record is kept for the ledger.",
                        null=True,
                    ),
                ),
                (
                    "converted_from",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="adapters.adapterversion",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Engine",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.SlugField(
                        help_text="The ENGINE_NAME of the engine's worker.", max_length=60, unique=True
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("vllm", "vLLM (adapters are pushed)"),
                            ("ray", "Ray Serve LLM (adapters are pulled from S3)"),
                        ],
                        default="vllm",
                        max_length=8,
                    ),
                ),
                (
                    "url",
                    models.CharField(
                        help_text="Must be on a private network: the engine has no protection of its own. Or unix:///run/engine.sock if the gateways and the worker run on the same machine.",
                        max_length=200,
                        validators=[adapters.models.engines.validate_address],
                    ),
                ),
                ("device", models.CharField(choices=[("cpu", "CPU"), ("cuda", "CUDA")], max_length=8)),
                ("max_loras", models.PositiveIntegerField(help_text="Adapter slots in one batch.")),
                ("max_cpu_loras", models.PositiveIntegerField(help_text="Adapters cached in memory.")),
                ("max_lora_rank", models.PositiveIntegerField()),
                (
                    "max_model_len",
                    models.PositiveIntegerField(help_text="Maximum tokens of prompt and answer together."),
                ),
                (
                    "max_num_seqs",
                    models.PositiveIntegerField(
                        default=128, help_text="Maximum concurrent requests; the gateway sends no more."
                    ),
                ),
                (
                    "max_adapters",
                    models.PositiveIntegerField(
                        default=10000,
                        help_text="Maximum registered adapters. Those that don't fit in memory are read from disk.",
                    ),
                ),
                (
                    "replicas",
                    models.PositiveIntegerField(
                        default=1,
                        help_text="For a cluster: number of replicas, each with its own base model and these limits.",
                    ),
                ),
                (
                    "is_draining",
                    models.BooleanField(
                        default=False, help_text="Draining: gets no new adapters or requests."
                    ),
                ),
                (
                    "is_gone",
                    models.BooleanField(
                        default=False,
                        editable=False,
                        help_text="Permanently out of service. Kept so that erasures know which adapters it had.",
                    ),
                ),
                ("is_healthy", models.BooleanField(default=False, editable=False)),
                ("note", core.message_fields.MessageField(editable=False)),
                ("checked_at", models.DateTimeField(editable=False, null=True)),
                (
                    "started_at",
                    models.DateTimeField(
                        editable=False,
                        help_text="When the engine's process started, as it reports.",
                        null=True,
                    ),
                ),
                ("generation", models.PositiveBigIntegerField(default=0, editable=False)),
                ("observed_generation", models.PositiveBigIntegerField(default=0, editable=False)),
                (
                    "base_model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="engines",
                        to="adapters.basemodel",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="BaseReading",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("process_began_at", models.DateTimeField()),
                (
                    "answers",
                    models.JSONField(
                        help_text="Per fixed prompt: {prompt, likeliest}, token → log-probability."
                    ),
                ),
                (
                    "noise",
                    models.FloatField(
                        help_text="Mean shift when some prompts are run again in a smaller batch."
                    ),
                ),
                (
                    "engine",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="base_reading",
                        to="adapters.engine",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Erasure",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("requested_at", models.DateTimeField(auto_now_add=True)),
                (
                    "withdrawn_at",
                    models.DateTimeField(help_text="When the last route to it was removed.", null=True),
                ),
                ("drained_at", models.DateTimeField(help_text="When its last request ended.", null=True)),
                (
                    "storage_gone_at",
                    models.DateTimeField(
                        help_text="The storage confirms that it has none of its files.", null=True
                    ),
                ),
                ("finished_at", models.DateTimeField(null=True)),
                ("note", core.message_fields.MessageField(help_text="What the step is waiting for.")),
                (
                    "requested_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "version",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="erasure",
                        to="adapters.adapterversion",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Probe",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("engine", models.CharField(max_length=60)),
                (
                    "strength",
                    models.FloatField(
                        help_text="Mean shift of log probabilities from the base model, in nats per token."
                    ),
                ),
                (
                    "noise",
                    models.FloatField(
                        help_text="The same between two runs of the base model: a smaller shift is no effect."
                    ),
                ),
                ("shifts", models.JSONField(default=list, help_text="Per fixed prompt: {prompt, shift}.")),
                (
                    "samples",
                    models.JSONField(default=list, help_text="Per fixed prompt: {prompt, base, style}."),
                ),
                (
                    "measures",
                    models.JSONField(
                        default=dict,
                        help_text="{base, style}: {words_a_sentence, reading_ease, phrases} of all samples.",
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True)),
                (
                    "version",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="probe",
                        to="adapters.adapterversion",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Style",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("slug", models.SlugField(help_text="What programs write in `model=`.", max_length=40)),
                ("name", models.CharField(max_length=60)),
                ("description", models.CharField(blank=True, max_length=300)),
                ("sample_prompt", models.CharField(blank=True, max_length=300)),
                (
                    "sample",
                    models.CharField(
                        blank=True, help_text="A sample of the style's writing.", max_length=500
                    ),
                ),
                (
                    "author",
                    models.CharField(
                        blank=True, help_text="Who trained the style. Shown publicly.", max_length=100
                    ),
                ),
                (
                    "licence",
                    models.TextField(
                        blank=True,
                        help_text="The terms under which others may use the style.",
                        max_length=4000,
                    ),
                ),
                (
                    "tags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=30),
                        blank=True,
                        default=list,
                        help_text="What the style is for: lowercase letters, digits and hyphens.",
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        blank=True, help_text="Language code, such as en or pt-br.", max_length=10
                    ),
                ),
                (
                    "test_prompts",
                    models.TextField(
                        blank=True,
                        help_text="The owner's prompts for comparing versions, one per line.",
                        max_length=4000,
                    ),
                ),
                (
                    "temperature",
                    models.FloatField(
                        blank=True,
                        help_text="Of requests that send none. Empty: the installation's default.",
                        null=True,
                    ),
                ),
                (
                    "top_p",
                    models.FloatField(
                        blank=True,
                        help_text="Of requests that send none. Empty: the installation's default.",
                        null=True,
                    ),
                ),
                (
                    "is_public",
                    models.BooleanField(default=False, help_text="Listed in the public catalogue."),
                ),
                ("public_since", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "offered_at",
                    models.DateTimeField(
                        blank=True, help_text="When the owner offered it to the catalogue.", null=True
                    ),
                ),
                (
                    "asked_input_nanousd",
                    models.BigIntegerField(blank=True, help_text="Per token, in nano-USD.", null=True),
                ),
                ("asked_cached_input_nanousd", models.BigIntegerField(blank=True, null=True)),
                ("asked_output_nanousd", models.BigIntegerField(blank=True, null=True)),
                (
                    "asked_author_percent",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="Percentage of what other workspaces pay."
                    ),
                ),
                (
                    "declined_reason",
                    models.CharField(
                        blank=True,
                        help_text="Why it is not in the catalogue. Visible to the owner.",
                        max_length=300,
                    ),
                ),
                (
                    "public_until",
                    models.DateTimeField(
                        blank=True, help_text="When the style leaves the catalogue.", null=True
                    ),
                ),
                ("approved_name", models.CharField(blank=True, max_length=60)),
                ("approved_description", models.CharField(blank=True, max_length=300)),
                ("approved_sample_prompt", models.CharField(blank=True, max_length=300)),
                ("approved_sample", models.CharField(blank=True, max_length=500)),
                (
                    "changed_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="When its texts or its live version last changed.",
                        null=True,
                    ),
                ),
                (
                    "declined_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="When an operator last declined its texts.",
                        null=True,
                    ),
                ),
                (
                    "canary_percent",
                    models.PositiveSmallIntegerField(default=0, help_text="Percentage of requests, 1 to 99."),
                ),
                ("canary_since", models.DateTimeField(blank=True, null=True)),
                ("generation", models.PositiveBigIntegerField(default=0, editable=False)),
                ("observed_generation", models.PositiveBigIntegerField(default=0, editable=False)),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
                (
                    "suspended_at",
                    models.DateTimeField(
                        blank=True, editable=False, help_text="When operators suspended it.", null=True
                    ),
                ),
                (
                    "suspended_reason",
                    models.CharField(
                        blank=True,
                        db_default="",
                        editable=False,
                        help_text="Visible to the owner.",
                        max_length=300,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "approved_version",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="adapters.adapterversion",
                    ),
                ),
                (
                    "base_model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="styles",
                        to="adapters.basemodel",
                    ),
                ),
                (
                    "canary_version",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="adapters.adapterversion",
                    ),
                ),
                (
                    "live_version",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="adapters.adapterversion",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="styles",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Share",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "ends_at",
                    models.DateTimeField(blank=True, help_text="When access ends, once revoked.", null=True),
                ),
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
                        related_name="shares",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
                (
                    "style",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="shares",
                        to="adapters.style",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Selection",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="selections",
                        to="tenants.tenant",
                    ),
                ),
                (
                    "style",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="selections",
                        to="adapters.style",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Release",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("alias", models.CharField(choices=[("live", "Live"), ("canary", "Canary")], max_length=8)),
                ("percent", models.PositiveSmallIntegerField(default=0, help_text="The canary's share.")),
                ("reason", core.message_fields.MessageField()),
                ("at", models.DateTimeField(auto_now_add=True)),
                (
                    "actor",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: automatic, or by a program.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "after",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="adapters.adapterversion",
                    ),
                ),
                (
                    "api_key",
                    models.ForeignKey(
                        blank=True,
                        help_text="The API key used.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="tenants.apikey",
                    ),
                ),
                (
                    "before",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="adapters.adapterversion",
                    ),
                ),
                (
                    "style",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="releases",
                        to="adapters.style",
                    ),
                ),
            ],
            options={
                "ordering": ["-at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="PriceChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "input_nanousd",
                    models.BigIntegerField(
                        blank=True, help_text="Per token. Empty: the standard price.", null=True
                    ),
                ),
                ("cached_input_nanousd", models.BigIntegerField(blank=True, null=True)),
                ("output_nanousd", models.BigIntegerField(blank=True, null=True)),
                (
                    "author_percent",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="Percentage of what other workspaces pay."
                    ),
                ),
                ("first_day", models.DateField(help_text="Requested start date (UTC).")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "pending approval"),
                            ("agreed", "approved"),
                            ("declined", "Declined"),
                            ("withdrawn", "Withdrawn"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("asked_at", models.DateTimeField(auto_now_add=True)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                ("reason", models.CharField(blank=True, help_text="Reason for declining.", max_length=300)),
                (
                    "effective_from",
                    models.DateTimeField(blank=True, help_text="Effective date, once approved.", null=True),
                ),
                (
                    "announced_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="When workspaces that selected the style were notified.",
                        null=True,
                    ),
                ),
                (
                    "style",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="price_changes",
                        to="adapters.style",
                    ),
                ),
            ],
            options={
                "ordering": ["-asked_at"],
            },
        ),
        migrations.CreateModel(
            name="Favourite",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="favourites",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "style",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="favourites",
                        to="adapters.style",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="adapterversion",
            name="style",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="versions", to="adapters.style"
            ),
        ),
        migrations.CreateModel(
            name="VersionStep",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("uploading", "Uploading"),
                            ("uploaded", "Uploaded"),
                            ("valid", "Valid"),
                            ("rejected", "Rejected"),
                            ("pushing", "Pushing"),
                            ("serving", "Serving"),
                            ("failed", "Failed"),
                            ("retired", "Retired"),
                        ],
                        max_length=12,
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True)),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="history",
                        to="adapters.adapterversion",
                    ),
                ),
            ],
            options={
                "ordering": ["at", "pk"],
            },
        ),
        migrations.CreateModel(
            name="BlindVote",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "choice",
                    models.CharField(
                        blank=True,
                        choices=[("left", "Left"), ("right", "Right"), ("tie", "Tie")],
                        help_text="Empty: no vote yet.",
                        max_length=5,
                    ),
                ),
                ("begun_at", models.DateTimeField(auto_now_add=True)),
                ("voted_at", models.DateTimeField(blank=True, null=True)),
                (
                    "left",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="adapters.adapterversion",
                    ),
                ),
                (
                    "right",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="adapters.adapterversion",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="blind_votes",
                        to="tenants.tenant",
                    ),
                ),
                (
                    "voter",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["tenant", "-begun_at", "-id"], name="vote_newest_of_tenant"),
                    models.Index(fields=["begun_at"], name="vote_oldest"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("left", models.F("right")), _negated=True), name="vote_is_of_two"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="EngineSample",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(help_text="Start of the minute.")),
                ("is_answering", models.BooleanField()),
                ("wanted", models.PositiveIntegerField()),
                ("loaded", models.PositiveIntegerField()),
                ("missing", models.PositiveIntegerField(help_text="Waiting to load.")),
                ("loads", models.PositiveBigIntegerField()),
                (
                    "engine",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="samples",
                        to="adapters.engine",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["at"], name="engine_samples_by_time")],
                "constraints": [models.UniqueConstraint(fields=("engine", "at"), name="one_sample_a_minute")],
            },
        ),
        migrations.CreateModel(
            name="EngineErasure",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("engine", models.CharField(max_length=60)),
                (
                    "unregistered_at",
                    models.DateTimeField(help_text="The engine no longer lists it.", null=True),
                ),
                (
                    "process_began_at",
                    models.DateTimeField(help_text="Start of the process that no longer has it.", null=True),
                ),
                ("memory_free_at", models.DateTimeField(null=True)),
                (
                    "proof",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("restart", "the engine has restarted since"),
                            ("never", "it was never loaded there"),
                            ("vouched", "an operator confirmed that its machines were wiped"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "copy_gone_at",
                    models.DateTimeField(help_text="The engine's local copy is deleted.", null=True),
                ),
                ("note", core.message_fields.MessageField(help_text="What the step is waiting for.")),
                (
                    "erasure",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="engines",
                        to="adapters.erasure",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("erasure"), models.F("engine"), name="one_erasure_an_engine"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Evaluation",
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
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                        ],
                        default="queued",
                        max_length=9,
                    ),
                ),
                ("note", core.message_fields.MessageField(help_text="What it is doing or waiting for.")),
                ("failure", core.message_fields.MessageField(help_text="Why it has no figures.")),
                (
                    "percent",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="How much of it is done, 0 to 100."
                    ),
                ),
                (
                    "attempts",
                    models.PositiveSmallIntegerField(default=0, help_text="How many times a worker began."),
                ),
                (
                    "figures",
                    models.JSONField(blank=True, default=dict, help_text="See adapters/evidence/figures.py."),
                ),
                (
                    "samples",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Per brief: {prompt, base, style, writer}. Deleted with the texts.",
                    ),
                ),
                (
                    "passages",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Passages that it repeats. Deleted with the texts.",
                    ),
                ),
                (
                    "verifier",
                    models.BinaryField(
                        blank=True,
                        default=b"",
                        help_text="What the author's style is recognised by: numbers, no text.",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="evaluations",
                        to="adapters.adapterversion",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("status__in", ["queued", "running"])),
                        fields=["created_at"],
                        name="evaluations_in_progress",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Placement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("is_desired", models.BooleanField(default=True)),
                (
                    "loaded_at",
                    models.DateTimeField(blank=True, help_text="Empty: not in the engine's list.", null=True),
                ),
                (
                    "loaded_as",
                    models.CharField(
                        blank=True,
                        help_text="Name in the engine: ours, or that of a static module.",
                        max_length=200,
                    ),
                ),
                ("loads", models.PositiveIntegerField(default=0, help_text="Number of times it was loaded.")),
                (
                    "requested_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When a request last waited for it. It stays requested for a while.",
                        null=True,
                    ),
                ),
                (
                    "undesired_since",
                    models.DateTimeField(
                        blank=True,
                        help_text="Since when it is loaded but no longer needed. Unloaded after a grace period.",
                        null=True,
                    ),
                ),
                (
                    "retry_at",
                    models.DateTimeField(
                        blank=True, help_text="No further attempt before this time.", null=True
                    ),
                ),
                (
                    "note",
                    core.message_fields.MessageField(
                        help_text="What it is waiting for, or why the engine rejected it."
                    ),
                ),
                (
                    "engine",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="placements",
                        to="adapters.engine",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="placements",
                        to="adapters.adapterversion",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("engine"), models.F("version"), name="one_placement")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="style",
            index=models.Index(fields=["owner", "-created_at", "-id"], name="style_newest_of_owner"),
        ),
        migrations.AddIndex(
            model_name="style",
            index=django.contrib.postgres.indexes.GinIndex(fields=["tags"], name="style_tags"),
        ),
        migrations.AddConstraint(
            model_name="style",
            constraint=models.UniqueConstraint(models.F("owner"), models.F("slug"), name="one_slug_an_owner"),
        ),
        migrations.AddConstraint(
            model_name="style",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("canary_percent", 0), ("canary_version", None)),
                    ("canary_percent__range", (1, 99)),
                    _connector="OR",
                ),
                name="canary_has_a_share",
            ),
        ),
        migrations.AddConstraint(
            model_name="style",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("asked_cached_input_nanousd", None),
                        ("asked_input_nanousd", None),
                        ("asked_output_nanousd", None),
                    ),
                    models.Q(
                        ("asked_cached_input_nanousd__gte", 0),
                        ("asked_input_nanousd__gte", 0),
                        ("asked_output_nanousd__gte", 0),
                    ),
                    _connector="OR",
                ),
                name="asked_prices_are_three",
            ),
        ),
        migrations.AddConstraint(
            model_name="style",
            constraint=models.CheckConstraint(
                condition=models.Q(("asked_author_percent__lte", 100)), name="asked_share_in_percent"
            ),
        ),
        migrations.AddConstraint(
            model_name="share",
            constraint=models.UniqueConstraint(models.F("style"), models.F("tenant"), name="one_share"),
        ),
        migrations.AddConstraint(
            model_name="selection",
            constraint=models.UniqueConstraint(models.F("tenant"), models.F("style"), name="one_selection"),
        ),
        migrations.AddConstraint(
            model_name="pricechange",
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
                name="changed_prices_are_three",
            ),
        ),
        migrations.AddConstraint(
            model_name="pricechange",
            constraint=models.CheckConstraint(
                condition=models.Q(("author_percent__lte", 100)), name="changed_share_in_percent"
            ),
        ),
        migrations.AddConstraint(
            model_name="favourite",
            constraint=models.UniqueConstraint(models.F("user"), models.F("style"), name="one_favourite"),
        ),
        migrations.AddConstraint(
            model_name="adapterversion",
            constraint=models.UniqueConstraint(
                models.F("style"), models.F("number"), name="one_number_a_style"
            ),
        ),
    ]
