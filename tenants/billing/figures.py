"""How the versions of a style did, counted from the usage events of everybody who wrote in it."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Q, Sum

from tenants.models import UsageEvent, UsageMinute

COMPLETE, FAILED = UsageEvent.Outcome.COMPLETE, UsageEvent.Outcome.UPSTREAM_ERROR
MINUTES_KEPT = timedelta(days=40)  # canaries look back a day; the rest is for people
EMPTY = "empty"  # the finish reason of an answer that ended before anything was written

type Rows = Iterable[tuple[int, ...]]  # version number, requests, errors, empty, completion tokens


@dataclass(frozen=True)
class VersionFigures:
    """Finished requests of one version: how many, how many failed or wrote nothing, the tokens written."""

    requests: int = 0
    errors: int = 0
    empty: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "VersionFigures") -> "VersionFigures":
        return VersionFigures(
            *(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True))
        )

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


def version_figures(style_id: UUID, since: datetime) -> dict[int, VersionFigures]:
    """Return version number → figures of what was admitted since a moment.

    Requests that their clients broke off, or that were swept after a crash, say nothing about a version.
    Whole minutes are read as such; of the first one, which may be begun, the events.
    """
    whole_minutes_from = since.replace(second=0, microsecond=0)
    if whole_minutes_from < since:
        whole_minutes_from += timedelta(minutes=1)
    found: dict[int, VersionFigures] = {}
    rows = [*_events(style_id, since, whole_minutes_from), *_minutes(style_id, whole_minutes_from)]
    for number, *counts in rows:
        found[number] = found.get(number, VersionFigures()) + VersionFigures(*counts)
    return found


def prune_minutes(*, before: datetime) -> int:
    """Delete minutes that no canary's figures reach back to; return how many."""
    return UsageMinute.objects.filter(minute__lt=before).delete()[0]


def _minutes(style_id: UUID, since: datetime) -> Rows:
    minutes = UsageMinute.objects.filter(style=style_id, minute__gte=since)
    sums = {name: Sum(name) for name in ("requests", "errors", "empty", "completion_tokens")}
    return minutes.order_by().values_list("version_number").annotate(**sums)


def _events(style_id: UUID, since: datetime, before: datetime) -> Rows:
    finished = UsageEvent.objects.filter(
        style=style_id,
        admitted_at__gte=since,
        admitted_at__lt=before,
        outcome__in=(COMPLETE, FAILED),
        version_number__isnull=False,
    )
    return (
        finished.order_by()
        .values_list("version_number")
        .annotate(
            requests=Count("pk"),
            errors=Count("pk", filter=Q(outcome=FAILED)),
            empty=Count("pk", filter=Q(outcome=COMPLETE, finish_reason=EMPTY)),
            tokens=Sum("completion_tokens", filter=Q(outcome=COMPLETE), default=0),
        )
    )
