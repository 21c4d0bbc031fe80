"""Adapter versions: immutable weights with a life of their own.

UPLOADING → UPLOADED → VALID → PUSHING → SERVING → RETIRED
                    ↘ REJECTED       ↘ FAILED (may be pushed again)
"""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from adapters.errors import Finding
from adapters.models.engines import engine_name_of
from adapters.models.styles import Style
from core.lifecycle import StatusLogged
from core.message_fields import MessageField
from core.messages import Message, MessageDecoder, MessageEncoder


class Status(models.TextChoices):
    UPLOADING = "uploading", _("Uploading")
    UPLOADED = "uploaded", _("Uploaded")
    VALID = "valid", _("Valid")
    REJECTED = "rejected", _("Rejected")
    PUSHING = "pushing", _("Pushing")
    SERVING = "serving", _("Serving")
    FAILED = "failed", _("Failed")
    RETIRED = "retired", _("Retired")


FINAL = (Status.REJECTED, Status.SERVING, Status.FAILED, Status.RETIRED)
IN_WORK = (Status.UPLOADED, Status.VALID, Status.PUSHING)
NEWS_FOR = timedelta(days=14)
MAX_NUMBER = 2**31 - 1  # of a version, as its column holds it


class FindingsField(models.JSONField):
    """What is wrong with a version: findings, stored as their codes and facts."""

    def from_db_value(self, value: str | None, expression: object, connection: object) -> list[Finding]:
        """Return the findings of a row."""
        found = json.loads(value or "[]", cls=MessageDecoder)
        return [Finding(message.code, message.facts) for message in found]

    def get_prep_value(self, value: list[Finding]) -> list[dict[str, Any]]:
        """Return what is stored of findings."""
        return [Message(finding.code, finding.facts).as_json() for finding in value]


class AdapterVersionQuerySet(models.QuerySet["AdapterVersion"]):
    def in_work(self) -> "AdapterVersionQuerySet":
        """Return versions whose next step a worker takes, oldest first."""
        handed_in = Q(status=Status.UPLOADING, handed_in_at__isnull=False)
        return self.filter(handed_in | Q(status__in=IN_WORK)).order_by("created_at")

    def abandoned(self, before: datetime) -> "AdapterVersionQuerySet":
        """Return uploads that were begun before a moment and never handed in."""
        return self.filter(status=Status.UPLOADING, handed_in_at=None, created_at__lt=before)

    def with_texts(self) -> "AdapterVersionQuerySet":
        """Return versions that were trained here, and whose texts are not erased yet."""
        return self.filter(provenance__has_key="training").exclude(provenance__has_key="texts_erased_at")


class AdapterVersion(StatusLogged):
    """One uploaded LoRA adapter. Never overwritten: a change is a new version with a new engine name."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    style = models.ForeignKey(Style, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=12, choices=Status, default=Status.UPLOADING, db_index=True)
    files = models.JSONField(default=dict, help_text="File name → size in bytes, as announced.")
    multipart = models.JSONField(
        default=dict,
        blank=True,
        help_text="File name → upload_id, part_bytes of multipart uploads. Empty: uploaded in one request.",
    )
    size_bytes = models.BigIntegerField(default=0)
    stored_bytes = models.BigIntegerField(
        default=0, help_text="Bytes stored or to be uploaded. Counts towards the plan."
    )
    sha256 = models.CharField(max_length=64, blank=True, help_text="SHA-256 of adapter_model.safetensors.")
    fingerprint = models.BinaryField(
        default=b"",
        db_default=b"",
        help_text="A fingerprint of its weights, to detect copies.",
    )
    config_sha256 = models.CharField(max_length=64, blank=True, help_text="SHA-256 of adapter_config.json.")
    rank = models.PositiveIntegerField(null=True)
    alpha = models.FloatField(null=True)
    target_modules = models.JSONField(default=list)
    findings = FindingsField(
        default=list, encoder=MessageEncoder, help_text="Validation report: codes and facts."
    )
    failure = MessageField(help_text="Why no engine could load it.")
    stated_quantisation = models.CharField(
        max_length=30,
        blank=True,
        help_text="Quantisation of the training base model, as stated by the uploader: none, 4-bit, …",
    )
    conversions = models.JSONField(
        default=list, help_text="Codes of the automatic conversions that would correct a rejected version."
    )
    converted_from = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    examinations = models.PositiveSmallIntegerField(
        default=0,
        help_text="Number of times its check was started.",
    )
    examined_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When its check was last started. Determines the order between workspaces.",
    )
    auto_promote = models.BooleanField(default=True, help_text="Goes live as soon as it is serving.")
    handed_in_at = models.DateTimeField(null=True, blank=True, help_text="When the upload was completed.")
    approved_at = models.DateTimeField(
        null=True, blank=True, help_text="When operators approved it for other workspaces."
    )
    provenance = models.JSONField(
        default=dict,
        blank=True,
        db_default={},
        help_text="Where it comes from if it was trained here: training, recipe, texts, statement of rights.",
    )
    share_refusal = MessageField(
        db_default={}, help_text="Why other workspaces can't have it: what its evaluation found."
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    files_gone_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When its files were erased everywhere. The record is kept for the ledger.",
    )

    objects = AdapterVersionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("style", "number", name="one_number_a_style")]

    def __str__(self) -> str:
        return self.model_name

    @property
    def has_texts(self) -> bool:
        """Whether it was trained here and its texts aren't erased yet; `training` notes that."""
        return "training" in self.provenance and "texts_erased_at" not in self.provenance

    @property
    def model_name(self) -> str:
        """What goes into `model=` for this very version: `acme/brand-voice@3`."""
        return f"{self.style.model_name}@{self.number}"

    def name_for(self, tenant_id: UUID) -> str:
        """Return what a workspace writes into `model=` to ask it: only an owner may name a number."""
        return self.model_name if self.style.owner_id == tenant_id else self.style.model_name

    @property
    def is_live(self) -> bool:
        """Whether it answers for its style, in its owner's workspace."""
        return self.style.live_version_id == self.pk

    @property
    def is_canary(self) -> bool:
        """Whether it is tried on a share of the requests."""
        return self.style.canary_version_id == self.pk

    @property
    def is_approved(self) -> bool:
        """Whether operators approved it for other workspaces."""
        return self.approved_at is not None

    @property
    def is_convertible(self) -> bool:
        """Whether a conversion is offered."""
        return bool(self.conversions) and self.files_gone_at is None

    @property
    def engine_name(self) -> str:
        """The name under which engines know it."""
        return engine_name_of(self.id)

    @property
    def is_final(self) -> bool:
        """True when no worker takes another step."""
        return self.status in FINAL

    @property
    def waits_to_go_live(self) -> bool:
        """Whether its style answers once its owner makes it live."""
        return self.status == Status.SERVING and self.style.live_version_id is None

    @property
    def has_failed_lately(self) -> bool:
        """Whether its owner may want to know of a failure; what was left lying for longer is no news."""
        has_failed = self.status in (Status.REJECTED, Status.FAILED)
        return has_failed and self.created_at > timezone.now() - NEWS_FOR

    def log_status(self, status: str) -> None:
        """Add a step to the version's history."""
        self.history.create(status=status)


class VersionStep(models.Model):
    """When a version reached a status: its history, append-only."""

    version = models.ForeignKey(AdapterVersion, on_delete=models.CASCADE, related_name="history")
    status = models.CharField(max_length=12, choices=Status)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.version} {self.status}"


# Erasing a version's files everywhere, step by step, with evidence that people can be shown.


class Erasure(models.Model):
    """One version whose files are to go from everywhere. The row stays: it is the report."""

    version = models.OneToOneField(AdapterVersion, on_delete=models.CASCADE, related_name="erasure")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    requested_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, help_text="When the last route to it was removed.")
    drained_at = models.DateTimeField(null=True, help_text="When its last request ended.")
    storage_gone_at = models.DateTimeField(
        null=True, help_text="The storage confirms that it has none of its files."
    )
    finished_at = models.DateTimeField(null=True)
    note = MessageField(help_text="What the step is waiting for.")

    def __str__(self) -> str:
        return f"erasure of {self.version}"


class EngineErasure(models.Model):
    """The same on one engine: its registry, its memory, the local copy beside it."""

    class Proof(models.TextChoices):
        RESTART = "restart", _("the engine has restarted since")
        NEVER = "never", _("it was never loaded there")
        ATTESTED = "vouched", _("an operator confirmed that its machines were wiped")

    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="engines")
    engine = models.CharField(max_length=60)
    unregistered_at = models.DateTimeField(null=True, help_text="The engine no longer lists it.")
    process_began_at = models.DateTimeField(
        null=True, help_text="Start of the process that no longer has it."
    )
    memory_free_at = models.DateTimeField(null=True)
    proof = models.CharField(max_length=10, choices=Proof, blank=True)
    copy_gone_at = models.DateTimeField(null=True, help_text="The engine's local copy is deleted.")
    note = MessageField(help_text="What the step is waiting for.")

    class Meta:
        constraints = [models.UniqueConstraint("erasure", "engine", name="one_erasure_an_engine")]

    def __str__(self) -> str:
        return f"{self.erasure} on {self.engine}"
