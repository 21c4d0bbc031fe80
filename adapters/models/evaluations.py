"""Evaluations: what was measured of a version against its author's texts. The evidence card shows it."""

from uuid import uuid4

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from adapters.models.versions import AdapterVersion
from core.message_fields import MessageField
from core.outgoing import Leased, LeasedQuerySet


class EvaluationStatus(models.TextChoices):
    """Where an evaluation is. Programs get these values."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")


class EvaluationQuerySet(LeasedQuerySet["Evaluation"]):
    def waiting(self) -> "EvaluationQuerySet":
        """Return evaluations that a worker runs or can take, oldest first."""
        open_statuses = [EvaluationStatus.QUEUED, EvaluationStatus.RUNNING]
        return self.filter(status__in=open_statuses).order_by("created_at")

    def ahead_of(self, evaluation: "Evaluation") -> "EvaluationQuerySet":
        """Return evaluations that workers take before one that waits."""
        return self.waiting().filter(created_at__lt=evaluation.created_at)


class Evaluation(Leased):
    """One evaluation of a version. Its texts are elsewhere, and are deleted with their training."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    version = models.ForeignKey(AdapterVersion, on_delete=models.CASCADE, related_name="evaluations")
    status = models.CharField(max_length=9, choices=EvaluationStatus, default=EvaluationStatus.QUEUED)
    note = MessageField(help_text="What it is doing or waiting for.")
    failure = MessageField(help_text="Why it has no figures.")
    percent = models.PositiveSmallIntegerField(default=0, help_text="How much of it is done, 0 to 100.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How many times a worker began.")
    figures = models.JSONField(default=dict, blank=True, help_text="See adapters/evidence/figures.py.")
    samples = models.JSONField(
        default=list,
        blank=True,
        help_text="Per brief: {prompt, base, style, writer}. Deleted with the texts.",
    )
    passages = models.JSONField(
        default=list, blank=True, help_text="Passages that it repeats. Deleted with the texts."
    )
    verifier = models.BinaryField(
        default=b"", blank=True, help_text="What the author's style is recognised by: numbers, no text."
    )
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = EvaluationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(status__in=["queued", "running"]),
                name="evaluations_in_progress",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version}: {self.status}"

    @property
    def is_open(self) -> bool:
        """Whether a worker still has to do something."""
        return self.status in (EvaluationStatus.QUEUED, EvaluationStatus.RUNNING)
