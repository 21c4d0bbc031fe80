"""Trainings: how a workspace's texts become a version of a style. Documents: the texts that they learn from.
Files: what programs upload to `/v1/files`, and the tables of results that jobs store there.

DRAFT → PREPARING → READY → QUEUED → RUNNING → FINISHING → SUCCEEDED
          ↘ DRAFT (with a note)      ↘ PAUSED (may be resumed)
From READY on it can become CANCELLED, and from QUEUED on FAILED.
"""

from datetime import datetime
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from adapters.models import SLUG_CHARACTERS, WORDS_CHARACTERS, AdapterVersion, Evaluation, Style
from core.lifecycle import Leased, LeasedQuerySet, StatusLogged
from core.message_fields import MessageField
from tenants.models import Tenant


class Status(models.TextChoices):
    """Where a training is. Programs get these values."""

    DRAFT = "draft", _("Draft")
    PREPARING = "preparing", _("Preparing")
    READY = "ready", _("Ready to start")
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Training")
    PAUSED = "paused", _("Paused")
    FINISHING = "finishing", _("Finishing")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


MAX_EXAMPLE_TOKENS = 1024  # the rest of a longer example is not learned

OPEN = (Status.DRAFT, Status.PREPARING, Status.READY)  # not paid yet; texts can still change
STARTED = (Status.QUEUED, Status.RUNNING, Status.PAUSED, Status.FINISHING)
ENDED = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


MAX_EPOCHS = 2  # a third makes predictions of new books worse (docs/training.md)


class StopRequest(models.TextChoices):
    """What members requested of a running training. It takes effect between two steps."""

    NONE = "", ""
    PAUSE = "pause", _("Pause")
    CANCEL = "cancel", _("Cancel")


class TrainingQuerySet(LeasedQuerySet["Training"]):
    def stuck(self, before: datetime) -> "TrainingQuerySet":
        """Return trainings in progress without a sign of life since a moment."""
        return self.filter(status__in=[Status.RUNNING, Status.FINISHING], changed_at__lt=before)


class Training(StatusLogged, Leased):
    """One training, from the first document to the resulting version."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="trainings", verbose_name="workspace"
    )
    slug = models.SlugField(max_length=SLUG_CHARACTERS, help_text="The style's short name, for `model=`.")
    name = models.CharField(max_length=WORDS_CHARACTERS["name"], help_text="The style's name, for people.")
    style = models.ForeignKey(
        Style,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="trainings",
        help_text="The style that gets the version. Set at the start.",
    )
    version = models.OneToOneField(
        AdapterVersion,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="training",
        help_text="What came of it.",
    )
    evaluated_version = models.ForeignKey(
        AdapterVersion,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="The version that its texts evaluate; nothing is trained then.",
    )
    evaluation = models.OneToOneField(
        Evaluation,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="training",
        help_text="The last evaluation with its texts.",
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT)
    stop_request = models.CharField(max_length=6, choices=StopRequest, default=StopRequest.NONE, blank=True)
    failure = MessageField(help_text="Why it failed, or why an operator stopped it.")
    attempts = models.PositiveSmallIntegerField(
        default=0, help_text="How many times a worker began since the last checkpoint."
    )
    seed = models.PositiveIntegerField(default=7, help_text="Same texts and seed: same examples and order.")
    recipe = models.JSONField(default=dict, blank=True, help_text="Differences from the default recipe.")
    left_out_passages = models.JSONField(default=list, blank=True, help_text="Ids of passages left out.")
    report = models.JSONField(default=dict, blank=True, help_text="What was understood of the texts.")
    corpus_sha256 = models.CharField(max_length=64, blank=True, help_text="SHA-256 of all learned texts.")
    examples = models.PositiveIntegerField(default=0)
    validation_examples = models.PositiveIntegerField(default=0)
    epoch_tokens = models.BigIntegerField(default=0, help_text="Tokens of all examples, learned once.")
    epochs = models.PositiveSmallIntegerField(
        default=MAX_EPOCHS, help_text="Maximum passes over the examples."
    )
    estimated_s = models.PositiveIntegerField(default=0, help_text="Estimated seconds of training.")
    steps = models.PositiveIntegerField(default=0)
    step = models.PositiveIntegerField(default=0)
    trained_tokens = models.BigIntegerField(default=0, help_text="Tokens of the steps that are charged.")
    training_loss = models.FloatField(null=True, blank=True)
    validation_loss = models.FloatField(null=True, blank=True)
    step_seconds = models.FloatField(null=True, blank=True, help_text="Recent seconds per step.")
    stopped_early = models.BooleanField(default=False)
    rights_stated_at = models.DateTimeField(
        null=True, blank=True, help_text="When a member stated that the texts may be used."
    )
    rights_stated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Who stated it: who started the training, or made the key that did.",
    )
    keeps_documents = models.BooleanField(
        default=False, help_text="Documents are kept after the training, until they are deleted."
    )
    documents_gone_at = models.DateTimeField(null=True, blank=True, help_text="When its texts were deleted.")
    training_file = models.ForeignKey(
        "training.File",
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="learned_by",
        help_text="Conversations that it learns instead of documents: a job of the API in OpenAI's form.",
    )
    validation_file = models.ForeignKey(
        "training.File",
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="validated_by",
        help_text="Conversations that judge it. Empty: a tenth of the training file.",
    )
    hyperparameters = models.JSONField(default=dict, blank=True, help_text="As requested for a job.")
    metadata = models.JSONField(default=dict, blank=True, help_text="What its maker attached to a job.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now, help_text="Last sign of life.")
    started_at = models.DateTimeField(null=True, blank=True, help_text="When it was paid for and queued.")
    ran_at = models.DateTimeField(null=True, blank=True, help_text="When a worker first ran it.")
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TrainingQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-created_at"], name="trainings_newest_of_tenant"),
            models.Index(
                fields=["changed_at"],
                condition=~Q(status__in=["draft", "ready", "succeeded", "failed", "cancelled"]),
                name="trainings_in_progress",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def most_tokens(self) -> int:
        """The most tokens that it can train: what its price is estimated from."""
        return self.epoch_tokens * self.epochs

    @property
    def is_open(self) -> bool:
        """Whether its texts can still be changed: nothing is paid yet."""
        return self.status in OPEN

    @property
    def is_job(self) -> bool:
        """Whether it learns from a file of conversations, and starts automatically."""
        return self.training_file_id is not None

    @property
    def is_evaluation(self) -> bool:
        """Whether its texts only evaluate a version: nothing is trained, and it costs nothing."""
        return self.evaluated_version_id is not None

    @property
    def is_checking(self) -> bool:
        """Whether its texts evaluate a version at the moment, and nothing was trained on them."""
        return self.is_evaluation and self.evaluation is not None and self.evaluation.is_open

    @property
    def is_started(self) -> bool:
        """Whether it is in progress, or waits for a worker."""
        return self.status in STARTED

    @property
    def is_ended(self) -> bool:
        """Whether no step follows."""
        return self.status in ENDED

    @property
    def percent(self) -> int:
        """How much of the training is done, 0 to 100. What follows it takes seconds."""
        if self.status in (Status.FINISHING, Status.SUCCEEDED):
            return 100
        return min(99, 100 * self.step // self.steps) if self.steps else 0

    @property
    def left_s(self) -> int | None:
        """About how many seconds of training are left; None before its speed is known."""
        if self.status != Status.RUNNING or not self.step_seconds:
            return None
        return round((self.steps - self.step) * self.step_seconds)

    def log_status(self, status: str) -> None:
        """Add a status to the training's events."""
        self.events.create(status=status, step=self.step)

    def move(self, *, before: str, after: str, **changes: object) -> bool:
        """Change status, and note when; return False if another worker was first."""
        now = timezone.now()
        ended = {"ended_at": now} if after in ENDED else {}
        return super().move(before=before, after=after, **{"changed_at": now, **ended, **changes})


class TrainingEvent(models.Model):
    """An event of a training: a status that it reached, or losses at a step."""

    training = models.ForeignKey(Training, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    status = models.CharField(max_length=10, choices=Status, blank=True)
    step = models.PositiveIntegerField(default=0)
    training_loss = models.FloatField(null=True, blank=True)
    validation_loss = models.FloatField(null=True, blank=True)
    is_checkpoint = models.BooleanField(default=False)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["training", "id"], name="events_of_training")]

    def __str__(self) -> str:
        return f"{self.training_id} {self.status or self.step}"


class DocumentQuerySet(models.QuerySet["Document"]):
    def to_read(self) -> "DocumentQuerySet":
        """Return documents that have arrived but are not read yet, oldest first."""
        return self.filter(status=Document.Status.UPLOADED).order_by("created_at", "pk")

    def learned(self) -> "DocumentQuerySet":
        """Return documents that the training uses, in a stable order."""
        return self.filter(status=Document.Status.READ, is_left_out=False).order_by("created_at", "pk")


class Document(models.Model):
    """One text of a training. The posted file is deleted once it is read; the text is kept."""

    class Status(models.TextChoices):
        UPLOADING = "uploading", _("Uploading")
        UPLOADED = "uploaded", _("Reading")
        READ = "read", _("Read")
        REFUSED = "refused", _("Not usable")

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    training = models.ForeignKey(Training, on_delete=models.CASCADE, related_name="documents")
    name = models.CharField(max_length=200)
    size_bytes = models.BigIntegerField(help_text="As announced.")
    status = models.CharField(max_length=10, choices=Status, default=Status.UPLOADING)
    format = models.CharField(max_length=10, blank=True)
    words = models.PositiveIntegerField(default=0)
    language = models.CharField(max_length=10, blank=True, help_text="ISO 639-1. Empty: unclear.")
    quotation_share = models.FloatField(default=0, help_text="Share of words in quotation marks, 0 to 1.")
    removed = models.JSONField(default=dict, blank=True, help_text="What was removed, by kind: counts.")
    first_words = models.CharField(max_length=300, blank=True, help_text="How it begins, as it was read.")
    text_bytes = models.PositiveIntegerField(default=0, help_text="Bytes of text that are stored.")
    refusal = MessageField(help_text="Why it can't be used.")
    refusal_fix = MessageField(help_text="What to do about it.")
    is_left_out = models.BooleanField(default=False, help_text="Left out of the training by a member.")
    readings = models.PositiveSmallIntegerField(default=0, help_text="How many times its reading began.")
    created_at = models.DateTimeField(default=timezone.now)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["training", "created_at"], name="documents_of_training")]

    def __str__(self) -> str:
        return self.name


class FileQuerySet(models.QuerySet["File"]):
    def kept(self, now: datetime) -> "FileQuerySet":
        """Return files that arrived whole and are neither deleted nor expired at a moment."""
        is_current = models.Q(expires_at=None) | models.Q(expires_at__gt=now)
        return self.filter(is_current, arrived_at__isnull=False, deleted_at=None)

    def counted(self) -> "FileQuerySet":
        """Return files whose bytes the plan's storage counts: also those on their way."""
        return self.filter(deleted_at=None)


class File(models.Model):
    """One file of a workspace. Its row outlives it while a job names it."""

    class Purpose(models.TextChoices):
        """What a file is for. Programs get these values, which are OpenAI's."""

        FINE_TUNE = "fine-tune", _("Training")
        RESULTS = "fine-tune-results", _("Training results")

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="files", verbose_name="workspace"
    )
    purpose = models.CharField(max_length=20, choices=Purpose)
    name = models.CharField(max_length=200)
    size_bytes = models.BigIntegerField(default=0, help_text="As announced, until it has arrived.")
    job = models.OneToOneField(
        "training.Training",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="result_file",
        help_text="The training whose figures it holds.",
    )
    created_at = models.DateTimeField(default=timezone.now)
    arrived_at = models.DateTimeField(null=True, blank=True, help_text="Empty: still on its way.")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: kept until it is deleted.")
    deleted_at = models.DateTimeField(null=True, blank=True, help_text="Its content is gone since then.")

    objects = FileQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="files_newest_of_tenant"),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(expires_at__isnull=False, deleted_at=None),
                name="files_that_expire",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        """Its id as programs see it."""
        return f"file-{self.pk.hex}"

    def is_kept(self, now: datetime) -> bool:
        """Return whether its content can be read at a moment."""
        is_current = self.expires_at is None or self.expires_at > now
        return self.arrived_at is not None and self.deleted_at is None and is_current
