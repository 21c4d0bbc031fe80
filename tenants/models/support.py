"""What operators do for one workspace: a limit that is raised for some time, and notes."""

from datetime import datetime

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from tenants.models.people import Tenant, User


class RaisedLimitQuerySet(models.QuerySet["RaisedLimit"]):
    def at(self, moment: datetime) -> "RaisedLimitQuerySet":
        """Return what is raised at a moment."""
        return self.filter(starts_at__lte=moment, ends_at__gt=moment)


class RaisedLimit(models.Model):
    """A limit of a workspace that is higher than its plan's in [starts_at, ends_at).

    What tokens a month includes and what it may cost are no limits of this kind: a plan, credits or a budget
    change those, because invoices are made of them.
    """

    class Limit(models.TextChoices):
        REQUESTS_PER_MINUTE = "requests_per_minute", "requests per minute"
        TOKENS_PER_MINUTE = "tokens_per_minute", "tokens per minute"
        PARALLEL_REQUESTS = "parallel_requests", "concurrent requests"
        MAX_OUTPUT_TOKENS = "max_output_tokens", "tokens per answer"
        SEQUENCES_PER_REQUEST = "sequences_per_request", "sequences per request"
        PRIVATE_STYLES = "private_styles", "private styles"
        STORED_VERSIONS = "stored_versions", "stored versions"
        STORED_BYTES = "stored_bytes", "stored bytes"
        OPEN_UPLOADS = "open_uploads", "open uploads"
        PARALLEL_TRAININGS = "parallel_trainings", "concurrent trainings"
        MONTHLY_TRAININGS = "monthly_trainings", "trainings per month"
        TRAINING_WORDS = "training_words", "words per training"

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="raised_limits", verbose_name="workspace"
    )
    limit = models.CharField(max_length=30, choices=Limit)
    amount = models.BigIntegerField("how many", help_text="The total, not in addition to the plan's limit.")
    starts_at = models.DateTimeField(default=timezone.now, editable=False)
    ends_at = models.DateTimeField("until", help_text="In UTC. After that, the plan's limit applies again.")
    actor = models.ForeignKey(
        User,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        editable=False,
        help_text="Who raised it.",
    )
    reason = models.CharField(max_length=300, blank=True, editable=False)

    objects = RaisedLimitQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "ends_at"], name="raised_limits_of_a_workspace")]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="raised_limit_positive"),
            models.CheckConstraint(condition=Q(ends_at__gte=F("starts_at")), name="raised_limit_ends_later"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant}: {self.amount:,} {self.get_limit_display()}"


class WorkspaceNote(models.Model):
    """What operators note about a workspace. Nobody edits a note; its members never read it."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="notes", verbose_name="workspace"
    )
    text = models.TextField("note", max_length=2000, help_text="Visible to operators only.")
    author = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", editable=False, help_text="Author."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["tenant", "-id"], name="notes_of_a_workspace")]

    def __str__(self) -> str:
        return f"Note on {self.tenant}"
