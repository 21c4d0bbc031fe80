"""What styles are used for: a workspace's month in one of them, and how the versions of one did.

The first is read from usage by day; the second counts usage events of all tenants.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import Count, Q, Sum
from django.utils.formats import date_format

from core import months
from core.money import usd
from metering.models import UsageDaily, UsageEvent, UsageMinute
from tenants.models import Tenant


@dataclass(frozen=True)
class DayOfStyle:
    """One UTC day."""

    day: date
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_nanousd: int


@dataclass(frozen=True)
class StyleUsage:
    """One month, with the days on which something was written, the newest first."""

    month: str
    days: list[DayOfStyle]

    @property
    def requests(self) -> int:
        return sum(day.requests for day in self.days)

    @property
    def tokens(self) -> int:
        return sum(day.prompt_tokens + day.completion_tokens for day in self.days)

    @property
    def cost(self) -> str:
        return usd(sum(day.cost_nanousd for day in self.days))


def style_usage(tenant: Tenant, model_name: str, now: datetime) -> StyleUsage:
    """Return what a tenant wrote in a style in the month of an aware moment; one query."""
    start, end = months.bounds(months.period_of(now))
    rows = UsageDaily.objects.filter(tenant=tenant, style_name=model_name)
    rows = rows.filter(day__gte=start.date(), day__lt=end.date())
    sums = rows.values_list("day").annotate(
        Sum("requests"), Sum("prompt_tokens"), Sum("completion_tokens"), Sum("cost_nanousd")
    )
    return StyleUsage(date_format(start, "F"), [DayOfStyle(*row) for row in sums.order_by("-day")])


COMPLETE = UsageEvent.Outcome.COMPLETE
FAILED = UsageEvent.Outcome.UPSTREAM_ERROR
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
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            empty=self.empty + other.empty,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )

    @property
    def error_percent(self) -> float:
        """Percent of requests that the engine failed."""
        return 100 * self.errors / self.requests if self.requests else 0.0

    @property
    def empty_percent(self) -> float:
        """Percent of requests that were answered with nothing."""
        return 100 * self.empty / self.requests if self.requests else 0.0

    @property
    def tokens_an_answer(self) -> float:
        """Mean length of an answer in tokens."""
        answers = self.requests - self.errors
        return self.completion_tokens / answers if answers else 0.0


def version_figures(style_id: UUID, since: datetime) -> dict[int, VersionFigures]:
    """Return version number → figures of the requests that were admitted since a moment.

    Requests that their clients broke off, or that were swept after a crash, say nothing about a version.
    Whole minutes come from usage by minute, the rest of the first minute from its events.
    """
    first_whole_minute = since.replace(second=0, microsecond=0)
    if first_whole_minute < since:
        first_whole_minute += timedelta(minutes=1)
    figures: dict[int, VersionFigures] = {}
    events = _count_events(style_id, since, first_whole_minute)
    minutes = _sum_minutes(style_id, first_whole_minute)
    for number, *counts in [*events, *minutes]:
        figures[number] = figures.get(number, VersionFigures()) + VersionFigures(*counts)
    return figures


def _sum_minutes(style_id: UUID, since: datetime) -> Rows:
    minutes = UsageMinute.objects.filter(style=style_id, minute__gte=since)
    by_version = minutes.order_by().values_list("version_number")
    return by_version.annotate(Sum("requests"), Sum("errors"), Sum("empty"), Sum("completion_tokens"))


def _count_events(style_id: UUID, since: datetime, before: datetime) -> Rows:
    finished = UsageEvent.objects.filter(
        style=style_id,
        period__in=_periods_around(since),
        admitted_at__gte=since,
        admitted_at__lt=before,
        outcome__in=(COMPLETE, FAILED),
        version_number__isnull=False,
    )
    by_version = finished.order_by().values_list("version_number")
    return by_version.annotate(
        requests=Count("pk"),
        errors=Count("pk", filter=Q(outcome=FAILED)),
        empty=Count("pk", filter=Q(outcome=COMPLETE, finish_reason=EMPTY)),
        tokens=Sum("completion_tokens", filter=Q(outcome=COMPLETE), default=0),
    )


def _periods_around(moment: datetime) -> set[str]:
    """Return the months that events of a moment may have: else every partition would be read."""
    slack = timedelta(days=1)
    return {months.period_of(moment - slack), months.period_of(moment + slack)}
