"""Documents, files and trainings."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import core.message_fields


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("adapters", "0001_initial"),
        ("tenants", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="File",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "purpose",
                    models.CharField(
                        choices=[("fine-tune", "Training"), ("fine-tune-results", "Training results")],
                        max_length=20,
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                (
                    "size_bytes",
                    models.BigIntegerField(default=0, help_text="As announced, until it has arrived."),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "arrived_at",
                    models.DateTimeField(blank=True, help_text="Empty: still on its way.", null=True),
                ),
                (
                    "expires_at",
                    models.DateTimeField(blank=True, help_text="Empty: kept until it is deleted.", null=True),
                ),
                (
                    "deleted_at",
                    models.DateTimeField(blank=True, help_text="Its content is gone since then.", null=True),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="files",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Training",
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
                ("slug", models.SlugField(help_text="The style's short name, for `model=`.", max_length=40)),
                ("name", models.CharField(help_text="The style's name, for people.", max_length=60)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("preparing", "Preparing"),
                            ("ready", "Ready to start"),
                            ("queued", "Queued"),
                            ("running", "Training"),
                            ("paused", "Paused"),
                            ("finishing", "Finishing"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="draft",
                        max_length=10,
                    ),
                ),
                (
                    "stop_request",
                    models.CharField(
                        blank=True,
                        choices=[("", ""), ("pause", "Pause"), ("cancel", "Cancel")],
                        default="",
                        max_length=6,
                    ),
                ),
                ("note", core.message_fields.MessageField(help_text="What the current step is waiting for.")),
                (
                    "failure",
                    core.message_fields.MessageField(
                        help_text="Why it failed, or why an operator stopped it."
                    ),
                ),
                (
                    "attempts",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="How many times a worker began since the last checkpoint."
                    ),
                ),
                (
                    "seed",
                    models.PositiveIntegerField(
                        default=7, help_text="Same texts and seed: same examples and order."
                    ),
                ),
                (
                    "recipe",
                    models.JSONField(
                        blank=True, default=dict, help_text="Differences from the default recipe."
                    ),
                ),
                (
                    "left_out_passages",
                    models.JSONField(blank=True, default=list, help_text="Ids of passages left out."),
                ),
                (
                    "report",
                    models.JSONField(blank=True, default=dict, help_text="What was understood of the texts."),
                ),
                (
                    "corpus_sha256",
                    models.CharField(blank=True, help_text="SHA-256 of all learned texts.", max_length=64),
                ),
                ("examples", models.PositiveIntegerField(default=0)),
                ("validation_examples", models.PositiveIntegerField(default=0)),
                (
                    "epoch_tokens",
                    models.BigIntegerField(default=0, help_text="Tokens of all examples, learned once."),
                ),
                (
                    "epochs",
                    models.PositiveSmallIntegerField(
                        default=2, help_text="Maximum passes over the examples."
                    ),
                ),
                (
                    "estimated_s",
                    models.PositiveIntegerField(default=0, help_text="Estimated seconds of training."),
                ),
                ("steps", models.PositiveIntegerField(default=0)),
                ("step", models.PositiveIntegerField(default=0)),
                (
                    "trained_tokens",
                    models.BigIntegerField(default=0, help_text="Tokens of the steps that are charged."),
                ),
                ("training_loss", models.FloatField(blank=True, null=True)),
                ("validation_loss", models.FloatField(blank=True, null=True)),
                (
                    "step_seconds",
                    models.FloatField(blank=True, help_text="Recent seconds per step.", null=True),
                ),
                ("stopped_early", models.BooleanField(default=False)),
                (
                    "rights_stated_at",
                    models.DateTimeField(
                        blank=True, help_text="When a member stated that the texts may be used.", null=True
                    ),
                ),
                (
                    "keeps_documents",
                    models.BooleanField(
                        default=False,
                        help_text="Documents are kept after the training, until they are deleted.",
                    ),
                ),
                (
                    "documents_gone_at",
                    models.DateTimeField(blank=True, help_text="When its texts were deleted.", null=True),
                ),
                (
                    "hyperparameters",
                    models.JSONField(blank=True, default=dict, help_text="As requested for a job."),
                ),
                (
                    "metadata",
                    models.JSONField(blank=True, default=dict, help_text="What its maker attached to a job."),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "changed_at",
                    models.DateTimeField(default=django.utils.timezone.now, help_text="Last sign of life."),
                ),
                (
                    "started_at",
                    models.DateTimeField(blank=True, help_text="When it was paid for and queued.", null=True),
                ),
                (
                    "ran_at",
                    models.DateTimeField(blank=True, help_text="When a worker first ran it.", null=True),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
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
                    "evaluated_version",
                    models.ForeignKey(
                        blank=True,
                        help_text="The version that its texts evaluate; nothing is trained then.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="adapters.adapterversion",
                    ),
                ),
                (
                    "evaluation",
                    models.OneToOneField(
                        blank=True,
                        help_text="The last evaluation with its texts.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="training",
                        to="adapters.evaluation",
                    ),
                ),
                (
                    "rights_stated_by",
                    models.ForeignKey(
                        blank=True,
                        help_text="Who stated it: who started the training, or made the key that did.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "style",
                    models.ForeignKey(
                        blank=True,
                        help_text="The style that gets the version. Set at the start.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="trainings",
                        to="adapters.style",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="trainings",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
                (
                    "training_file",
                    models.ForeignKey(
                        blank=True,
                        help_text="Conversations that it learns instead of documents: a job of the API in OpenAI's form.",
                        null=True,
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="learned_by",
                        to="training.file",
                    ),
                ),
                (
                    "validation_file",
                    models.ForeignKey(
                        blank=True,
                        help_text="Conversations that judge it. Empty: a tenth of the training file.",
                        null=True,
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="validated_by",
                        to="training.file",
                    ),
                ),
                (
                    "version",
                    models.OneToOneField(
                        blank=True,
                        help_text="What came of it.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="training",
                        to="adapters.adapterversion",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="file",
            name="job",
            field=models.OneToOneField(
                blank=True,
                help_text="The training whose figures it holds.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="result_file",
                to="training.training",
            ),
        ),
        migrations.CreateModel(
            name="Document",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=200)),
                ("size_bytes", models.BigIntegerField(help_text="As announced.")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("uploading", "Uploading"),
                            ("uploaded", "Reading"),
                            ("read", "Read"),
                            ("refused", "Not usable"),
                        ],
                        default="uploading",
                        max_length=10,
                    ),
                ),
                ("format", models.CharField(blank=True, max_length=10)),
                ("words", models.PositiveIntegerField(default=0)),
                (
                    "language",
                    models.CharField(blank=True, help_text="ISO 639-1. Empty: unclear.", max_length=10),
                ),
                (
                    "quotation_share",
                    models.FloatField(default=0, help_text="Share of words in quotation marks, 0 to 1."),
                ),
                (
                    "removed",
                    models.JSONField(
                        blank=True, default=dict, help_text="What was removed, by kind: counts."
                    ),
                ),
                (
                    "first_words",
                    models.CharField(blank=True, help_text="How it begins, as it was read.", max_length=300),
                ),
                (
                    "text_bytes",
                    models.PositiveIntegerField(default=0, help_text="Bytes of text that are stored."),
                ),
                ("refusal", core.message_fields.MessageField(help_text="Why it can't be used.")),
                ("refusal_fix", core.message_fields.MessageField(help_text="What to do about it.")),
                (
                    "is_left_out",
                    models.BooleanField(default=False, help_text="Left out of the training by a member."),
                ),
                (
                    "readings",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="How many times its reading began."
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "training",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="documents",
                        to="training.training",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TrainingEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "status",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("draft", "Draft"),
                            ("preparing", "Preparing"),
                            ("ready", "Ready to start"),
                            ("queued", "Queued"),
                            ("running", "Training"),
                            ("paused", "Paused"),
                            ("finishing", "Finishing"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        max_length=10,
                    ),
                ),
                ("step", models.PositiveIntegerField(default=0)),
                ("training_loss", models.FloatField(blank=True, null=True)),
                ("validation_loss", models.FloatField(blank=True, null=True)),
                ("is_checkpoint", models.BooleanField(default=False)),
                (
                    "training",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="training.training",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.AddIndex(
            model_name="training",
            index=models.Index(fields=["tenant", "-created_at"], name="trainings_newest_of_tenant"),
        ),
        migrations.AddIndex(
            model_name="training",
            index=models.Index(
                condition=models.Q(
                    ("status__in", ["draft", "ready", "succeeded", "failed", "cancelled"]), _negated=True
                ),
                fields=["changed_at"],
                name="trainings_in_progress",
            ),
        ),
        migrations.AddIndex(
            model_name="file",
            index=models.Index(fields=["tenant", "-created_at", "-id"], name="files_newest_of_tenant"),
        ),
        migrations.AddIndex(
            model_name="file",
            index=models.Index(
                condition=models.Q(("deleted_at", None), ("expires_at__isnull", False)),
                fields=["expires_at"],
                name="files_that_expire",
            ),
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(fields=["training", "created_at"], name="documents_of_training"),
        ),
        migrations.AddIndex(
            model_name="trainingevent",
            index=models.Index(fields=["training", "id"], name="events_of_training"),
        ),
    ]
