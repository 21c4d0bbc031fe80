"""Usage of a workspace, summed by day, style, key or version, and what the API tells of it.

It knows nothing of REST framework: the data plane answers `GET /v1/usage` with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Count, F, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from core import months, rates
from core.errors import Conflict, Invalid
from core.money import dollars
from metering import partitions
from metering.credits import credits_left
from metering.models import UsageDaily, UsageEvent
from metering.plans import api_requests_per_minute
from tenants.models import Tenant

DAY_FORMAT = "%Y-%m-%d"
MAX_REPEATED = 200  # characters of what was sent that an error repeats


class BadParameters(Invalid):
    """Invalid parameters: {named}. Supported are `start`, `end` (UTC dates), `group_by` and `style`."""

    code = "invalid_parameters"


class KeyUsageQuery(forms.Form):
    """Which usage of a key, and by what it is summed."""

    start = forms.DateField(required=False, input_formats=[DAY_FORMAT])
    end = forms.DateField(required=False, input_formats=[DAY_FORMAT])
    group_by = forms.CharField(strip=False)
    style = forms.CharField(required=False, strip=False, max_length=100)

    def clean_group_by(self) -> list[str]:
        """Return the groups that are named, each at most once."""
        try:
            return parse_groups(self.cleaned_data["group_by"])
        except ValueError as error:
            raise ValidationError(str(error)) from None


def report_usage(tenant: Tenant, query: Mapping[str, Any], *, key_id: UUID | None) -> dict[str, object]:
    """Return the sums that a checked query names, and their total. Raises BadRange and TooManySums."""
    now = timezone.now()
    month_begins, _ = months.bounds(months.period_of(now))
    start = query.get("start") or month_begins.date()
    end = query.get("end") or now.date() + timedelta(days=1)
    chosen = UsageFilter(tenant, start=start, end=end, style=query.get("style", ""), key_id=key_id)
    rows = [_present_sum(row) for row in sum_usage(chosen, query["group_by"])]
    return {"start": start.isoformat(), "end": end.isoformat(), "data": rows, "total": _total(rows)}


def report_usage_of_key(tenant_id: UUID, key_id: UUID, parameters: Mapping[str, str]) -> dict[str, object]:
    """Return what one key used, and what is left of the workspace's credits.

    The parameters of the address are those of a workspace's usage but `key`.

    Raises BadParameters, BadRange, TooManySums, TooManyRequests.
    """
    tenant = Tenant.objects.get(pk=tenant_id)
    limit = api_requests_per_minute(tenant, timezone.now())
    rates.take(f"api:key:{key_id}", limit)
    report = report_usage(tenant, read_query(parameters), key_id=key_id)
    left = credits_left(tenant, months.current())
    return {**report, "credits": {"left_nanousd": left, "left_usd": dollars(left)}}


def read_query(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the checked query of one key's usage. Raises BadParameters: what is unknown or empty, too."""
    form = KeyUsageQuery({"group_by": "day", **parameters})
    wrong = [name for name, value in parameters.items() if name not in form.fields or not value]
    wrong += [name for name in form.errors if name not in wrong]
    if wrong:
        raise BadParameters(named=", ".join(wrong)[:MAX_REPEATED])
    return form.cleaned_data


def _present_sum(row: dict[str, Any]) -> dict[str, Any]:
    day = row.get("by_day")
    key_id = row.get("by_key")
    return {
        "day": day.isoformat() if day else None,
        "style": row.get("by_style"),
        "key": str(key_id) if key_id else None,
        "version": row.get("by_version"),
        "requests": row["requests_sum"],
        "prompt_tokens": row["prompt_sum"],
        "completion_tokens": row["completion_sum"],
        "cost_nanousd": row["cost_sum"],
        "cost_usd": dollars(row["cost_sum"]),
    }


def _total(rows: list[dict[str, Any]]) -> dict[str, object]:
    total: dict[str, Any] = {"day": None, "style": None, "key": None, "version": None}
    for name in ("requests", "prompt_tokens", "completion_tokens", "cost_nanousd"):
        total[name] = sum(row[name] for row in rows)
    total["cost_usd"] = dollars(total["cost_nanousd"])
    return total


MOST_USED = 100  # styles that are named
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


class UsageDeleted(Conflict):
    """Requests up to {last} were deleted. Start from {first}. Totals by day, style and key remain
    available."""


# The database adds up: 10,000 styles are 300,000 rows, so each is added once, to its style's sum.
SUM_MONTH_AND_STYLES = """
    WITH of_style AS (
        SELECT style_name, sum(prompt_tokens + completion_tokens) AS tokens, sum(cost_nanousd) AS cost
          FROM metering_usagedaily
         WHERE tenant_id = %(tenant)s AND day >= %(start)s AND day < %(end)s
         GROUP BY style_name
    ), of_day AS (
        SELECT sum(requests) AS requests, sum(prompt_tokens + completion_tokens) AS tokens,
               sum(cost_nanousd) AS cost
          FROM metering_usagedaily
         WHERE tenant_id = %(tenant)s AND day = %(day)s
    )
    SELECT (SELECT coalesce(sum(tokens), 0) FROM of_style),
           (SELECT coalesce(sum(cost), 0) FROM of_style),
           coalesce(of_day.requests, 0), coalesce(of_day.tokens, 0), coalesce(of_day.cost, 0),
           ARRAY(SELECT style_name FROM of_style ORDER BY tokens DESC, style_name LIMIT %(styles)s)
      FROM of_day
"""


@dataclass(frozen=True)
class Used:
    """What a workspace used in a month and on one of its days, and in which styles most."""

    tokens: int
    cost_nanousd: int
    day_requests: int
    day_tokens: int
    day_cost_nanousd: int
    most_used: list[str]


@dataclass(frozen=True)
class UsageFilter:
    """Which usage: of the UTC days in [start, end), of one style or key where they are given."""

    tenant: Tenant
    start: date
    end: date
    style: str = ""
    key_id: UUID | None = None


def parse_groups(written: str) -> list[str]:
    """Return the groups that a text names, separated by commas. Raises ValueError for others."""
    groups = written.split(",")
    if not set(groups) <= set(GROUPS) or len(set(groups)) < len(groups):
        raise ValueError(f"Use each of {', '.join(GROUPS)} at most once.")
    return groups


def sum_usage(chosen: UsageFilter, groups: Sequence[str]) -> list[dict[str, Any]]:
    """Return the sums of requests, tokens and nano-USD, a row for each day, style, key, version.

    Raises BadRange, TooManySums and, by version, UsageDeleted. The sums of a month equal the ledger's.
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

    Raises UsageDeleted for a start in a month whose requests were deleted and, without a start, where that
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


def is_log_deleted(tenant: Tenant, period: str) -> bool:
    """Return whether a workspace had requests in a month, and they are no longer kept."""
    return _newest_deleted(tenant, *months.bounds(period)) == period


def require_log(tenant: Tenant, start: datetime | None, end: datetime | None) -> None:
    """Raise UsageDeleted where a part of the log would be missing in silence."""
    period = _newest_deleted(tenant, start, end)
    if period:
        first = months.bounds(period)[1].date()
        raise UsageDeleted(last=first - timedelta(days=1), first=first, field="start")


def _newest_deleted(tenant: Tenant, start: datetime | None, end: datetime | None) -> str:
    """Return the newest month of [start, end) of which a workspace's requests were deleted, or ""."""
    oldest = partitions.oldest_month()
    if not oldest or (start and months.period_of(start) >= oldest):
        return ""
    before = months.bounds(oldest)[0]
    last = (min(end, before) if end else before) - timedelta(microseconds=1)
    # The days say what there was. Months are deleted one after the other, so the newest one tells of all.
    days = UsageDaily.objects.filter(tenant=tenant, day__lte=last.date())
    if start:
        days = days.filter(day__gte=months.bounds(months.period_of(start))[0].date())
    newest = days.order_by("-day").values_list("day", flat=True).first()
    if newest is None:
        return ""
    period = f"{newest:%Y-%m}"
    # Of a month that never had a partition, the events lie in the rest.
    return "" if UsageEvent.objects.filter(tenant=tenant, period=period).exists() else period


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


def sum_month(tenant: Tenant, start: date, end: date, day: date) -> Used:
    """Return the usage of [start, end) and of one day of it; one query, whatever the number of styles."""
    with connection.cursor() as cursor:
        cursor.execute(
            SUM_MONTH_AND_STYLES,
            {"tenant": tenant.pk, "start": start, "end": end, "day": day, "styles": MOST_USED},
        )
        *sums, most_used = cursor.fetchone()
    tokens, cost_nanousd, day_requests, day_tokens, day_cost_nanousd = map(int, sums)
    return Used(tokens, cost_nanousd, day_requests, day_tokens, day_cost_nanousd, most_used)
