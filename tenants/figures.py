"""How the versions of a style did, counted from the usage events of everybody who wrote in it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, Sum

from tenants.models import UsageEvent

COMPLETE, FAILED = UsageEvent.Outcome.COMPLETE, UsageEvent.Outcome.UPSTREAM_ERROR
EMPTY = "empty"  # the finish reason of an answer that ended before anything was written


@dataclass(frozen=True)
class Figures:
    """Finished requests of one version: how many, how many failed or wrote nothing, the tokens written."""

    requests: int = 0
    errors: int = 0
    empty: int = 0
    completion_tokens: int = 0

    @property
    def error_percent(self) -> float:
        """How many of a hundred requests the engine failed."""
        return 100 * self.errors / self.requests if self.requests else 0.0

    @property
    def empty_percent(self) -> float:
        """How many of a hundred requests were answered with nothing."""
        return 100 * self.empty / self.requests if self.requests else 0.0

    @property
    def tokens_an_answer(self) -> float:
        """How long an answer is, in tokens."""
        answers = self.requests - self.errors
        return self.completion_tokens / answers if answers else 0.0


def figures(style_id: UUID, since: datetime) -> dict[int, Figures]:
    """Return version number → figures of what was admitted since a moment.

    Requests that their clients broke off, or that were swept after a crash, say nothing about a version.
    """
    finished = UsageEvent.objects.filter(
        style=style_id, admitted_at__gte=since, outcome__in=(COMPLETE, FAILED), version_number__isnull=False
    )
    counts = finished.values_list("version_number").annotate(
        requests=Count("pk"),
        errors=Count("pk", filter=Q(outcome=FAILED)),
        empty=Count("pk", filter=Q(outcome=COMPLETE, finish_reason=EMPTY)),
        tokens=Sum("completion_tokens", filter=Q(outcome=COMPLETE), default=0),
    )
    return {number: Figures(*of_it) for number, *of_it in counts.order_by()}
