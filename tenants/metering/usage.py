"""Usage of a workspace, summed by day, style, key or version; and the log of its requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, QuerySet, Sum
from django.db.models.functions import TruncDate

from core import months
from core.errors import Conflict, Invalid
from tenants.models import Tenant, UsageArchive, UsageDaily, UsageEvent

GROUPS = ("day", "style", "key", "version")
MAX_SUMS = 10_000  # rows of one answer
MAX_DAYS = 366
MAX_DAYS_BY_VERSION = 31  # versions are read from single requests
FAILED_UNBILLED = {"prompt_tokens": 0, "completion_tokens": 0}  # they cost nothing and are in no day


class BadRange(Invalid):
    """`end` must be after `start`, by at most {days} days."""

    code = "invalid_range"


class TooManySums(Invalid):
    """The result exceeds {most} rows. Narrow `start` and `end`, or use fewer groups."""

    code = "too_many_rows"


class UsageArchived(Conflict):
    """Requests up to {last} are archived. Start from {first}. Totals by day, style and key remain available.
    The latest archived requests are in the file {file}."""

    code = "usage_archived"
    names_support = True


@dataclass(frozen=True)
class UsageFilter:
    """Which usage: of the UTC days in [start, end), of one style or key where they are given."""

    tenant: Tenant
    start: date
    end: date
    style: str = ""
    key_id: UUID | None = None


def sum_usage(chosen: UsageFilter, groups: Sequence[str]) -> list[dict[str, Any]]:
    """Return the sums of requests, tokens and nano-USD, a row for each day, style, key, version.

    Raises BadRange, TooManySums and, by version, UsageArchived. The sums of a month equal the ledger's.
    """
    by_version = "version" in groups
    most_days = MAX_DAYS_BY_VERSION if by_version else MAX_DAYS
    if not 0 < (chosen.end - chosen.start).days <= most_days:
        raise BadRange(days=most_days, field="end")
    rows = _sum_events(chosen, groups) if by_version else _sum_days(chosen, groups)
    # One more than allowed tells a full answer from one that was cut.
    found = list(rows[: MAX_SUMS + 1])
    if len(found) > MAX_SUMS:
        raise TooManySums(most=MAX_SUMS)
    return found


def usage_events(tenant: Tenant, *, start: datetime | None, end: datetime | None) -> QuerySet[UsageEvent]:
    """Return a workspace's requests that were admitted in [start, end), where those are given.

    Raises UsageArchived for a start in a month whose requests were archived and, without a start, where that
    is why there are none.
    """
    events = UsageEvent.objects.filter(tenant=tenant)
    if start:
        events = events.filter(admitted_at__gte=start)
    if end:
        events = events.filter(admitted_at__lt=end)
    if start or not events.exists():
        require_log(tenant, start, end)
    return events


def archive_of(tenant: Tenant, period: str) -> UsageArchive | None:
    """Return the archive that has a workspace's requests of a month, if any. Later ones are in the log."""
    return UsageArchive.objects.gone().filter(period=period, usage__tenant=tenant).first()


def require_log(tenant: Tenant, start: datetime | None, end: datetime | None) -> None:
    """Raise UsageArchived where a part of the log would be missing in silence."""
    archives = UsageArchive.objects.gone().filter(usage__tenant=tenant)
    if start:
        archives = archives.filter(period__gte=months.period_of(start))
    if end:
        # `end` is the first moment after the range: at a month's very beginning that month is not in it.
        archives = archives.filter(period__lte=months.period_of(end - timedelta(microseconds=1)))
    newest = archives.order_by("-period").first()
    if newest:
        _, first = months.bounds(newest.period)
        raise UsageArchived(
            last=first.date() - timedelta(days=1),
            first=first.date(),
            file=newest.object_key,
            field="start",
        )


def _sum_days(chosen: UsageFilter, groups: Sequence[str]) -> Any:
    columns = {"day": F("day"), "style": F("style_name"), "key": F("key_id")}
    days = UsageDaily.objects.filter(tenant=chosen.tenant, day__gte=chosen.start, day__lt=chosen.end)
    return _sum_by(chosen, days, {group: columns[group] for group in groups}, requests=Sum("requests"))


def _sum_events(chosen: UsageFilter, groups: Sequence[str]) -> Any:
    start = datetime.combine(chosen.start, time(), UTC)
    end = datetime.combine(chosen.end, time(), UTC)
    events = usage_events(chosen.tenant, start=start, end=end).exclude(**FAILED_UNBILLED)
    columns = {
        "day": TruncDate("admitted_at", tzinfo=UTC),
        "style": F("style_name"),
        "key": F("key_id"),
        "version": F("version_number"),
    }
    return _sum_by(chosen, events, {group: columns[group] for group in groups}, requests=Count("pk"))


def _sum_by(chosen: UsageFilter, rows: Any, columns: Mapping[str, Any], *, requests: Any) -> Any:
    """Return the sums by some columns. Days and events have the same names for all but requests."""
    if chosen.style:
        rows = rows.filter(style_name=chosen.style)
    if chosen.key_id:
        rows = rows.filter(key=chosen.key_id)
    named = {f"by_{group}": column for group, column in columns.items()}
    sums = rows.order_by().annotate(**named).values(*named)
    sums = sums.annotate(
        requests_sum=requests,
        prompt_sum=Sum("prompt_tokens"),
        completion_sum=Sum("completion_tokens"),
        cost_sum=Sum("cost_nanousd"),
    )
    return sums.order_by(*named)
