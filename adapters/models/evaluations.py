"""Evaluations: what was measured of a version against its author's texts. The evidence card shows it."""

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from adapters.models.engines import Engine
from adapters.models.versions import AdapterVersion
from core.lifecycle import Leased, LeasedQuerySet
from core.message_fields import MessageField


class Probe(models.Model):
    """The effect of one version, measured once: numbers and sample answers behind its style card."""

    version = models.OneToOneField(AdapterVersion, on_delete=models.CASCADE, related_name="probe")
    engine = models.CharField(max_length=60)
    strength = models.FloatField(
        help_text="Mean shift of log probabilities from the base model, in nats per token."
    )
    noise = models.FloatField(
        help_text="The same between two runs of the base model: a smaller shift is no effect."
    )
    shifts = models.JSONField(default=list, help_text="Per fixed prompt: {prompt, shift}.")
    samples = models.JSONField(default=list, help_text="Per fixed prompt: {prompt, base, style}.")
    measures = models.JSONField(
        default=dict, help_text="{base, style}: {words_a_sentence, reading_ease, phrases} of all samples."
    )
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.version}: {self.strength:.3f}"


class BaseReading(models.Model):
    """What the base model answers to the probe's prompts on an engine, for as long as that process runs."""

    engine = models.OneToOneField(Engine, on_delete=models.CASCADE, related_name="base_reading")
    process_began_at = models.DateTimeField()
    answers = models.JSONField(help_text="Per fixed prompt: {prompt, likeliest}, token → log-probability.")
    noise = models.FloatField(help_text="Mean shift when some prompts are run again in a smaller batch.")

    def __str__(self) -> str:
        return f"{self.engine} since {self.process_began_at:%Y-%m-%d %H:%M:%S}"

    @property
    def prompts(self) -> list[str]:
        """The prompts, in order."""
        return [row["prompt"] for row in self.answers]

    @property
    def likeliest(self) -> list[dict[str, float]]:
        """The likeliest tokens of each answer, in the prompts' order."""
        return [row["likeliest"] for row in self.answers]


# Blind votes: two versions answer one prompt, and a person says which wrote better before seeing names.


class BlindVoteQuerySet(models.QuerySet["BlindVote"]):
    def open(self) -> "BlindVoteQuerySet":
        """Return rounds that were begun and wait for their vote."""
        return self.filter(choice="")


class BlindVote(models.Model):
    """One round: which version is on which side, and the vote. Prompt and answers are not kept."""

    class Choice(models.TextChoices):
        LEFT = "left"
        RIGHT = "right"
        TIE = "tie"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    # The index below begins with the workspace.
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.CASCADE, related_name="blind_votes", db_index=False
    )
    voter = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    left = models.ForeignKey(AdapterVersion, on_delete=models.CASCADE, related_name="+")
    right = models.ForeignKey(AdapterVersion, on_delete=models.CASCADE, related_name="+")
    choice = models.CharField(max_length=5, choices=Choice, blank=True, help_text="Empty: no vote yet.")
    begun_at = models.DateTimeField(auto_now_add=True)
    voted_at = models.DateTimeField(null=True, blank=True)

    objects = BlindVoteQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-begun_at", "-id"], name="vote_newest_of_tenant"),
            models.Index(fields=["begun_at"], name="vote_oldest"),  # for the pruning
        ]
        constraints = [models.CheckConstraint(condition=~Q(left=F("right")), name="vote_is_of_two")]

    def __str__(self) -> str:
        return f"{self.left_id} or {self.right_id}: {self.choice or 'open'}"


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
