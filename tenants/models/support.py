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
        REQUESTS_PER_MINUTE = "requests_per_minute", "requests a minute"
        TOKENS_PER_MINUTE = "tokens_per_minute", "tokens a minute"
        PARALLEL_REQUESTS = "parallel_requests", "requests at once"
        MAX_OUTPUT_TOKENS = "max_output_tokens", "tokens of one answer"
        SEQUENCES_PER_REQUEST = "sequences_per_request", "sequences of one request"
        PRIVATE_STYLES = "private_styles", "private styles"
        STORED_VERSIONS = "stored_versions", "stored versions"
        STORED_BYTES = "stored_bytes", "stored bytes"
        OPEN_UPLOADS = "open_uploads", "open uploads"

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="raised_limits", verbose_name="workspace"
    )
    limit = models.CharField(max_length=30, choices=Limit)
    amount = models.BigIntegerField("how many", help_text="In all, not on top of the plan's.")
    starts_at = models.DateTimeField(default=timezone.now, editable=False)
    ends_at = models.DateTimeField("until", help_text="In UTC. Then the plan's limit holds again, by itself.")
    actor = models.ForeignKey(
        User,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        editable=False,
        help_text="Who did it.",
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
    text = models.TextField("note", max_length=2000, help_text="Operators read it; the workspace does not.")
    author = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", editable=False, help_text="Who wrote it."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["tenant", "-id"], name="notes_of_a_workspace")]

    def __str__(self) -> str:
        return f"Note on {self.tenant}"
