"""Usage of a month, or of the latest days, for its page: by day and by style, key or version.

Days, styles and keys are summed from usage by day; versions from the requests of one style.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db import connection
from django.db.models import F, OuterRef, Subquery, Sum, Value
from django.db.models.functions import TruncDate
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import months
from core.errors import Conflict
from metering import usage_report
from metering.models import TrainingHold, UsageDaily, UsageEvent
from tenants.models import ApiKey, Tenant

SEGMENTS = 5  # in colours of their own; what is left of a day is one more
MAX_ROWS = 100  # of the table; the rest is one row
# Sums by day know no versions, so requests are read: as many as a page can wait for.
MAX_EVENTS = 300_000  # that are read to sum a style's versions
WIDTH = 1000  # of the pictures, in units of their own; the page stretches them
HEIGHT = 100
BAR_SHARE = 0.72  # of a day's width
FORECAST_FROM = timedelta(days=1)  # earlier there is no pace
MAX_DAYS = 90
SUMMED = ("count", "prompt_tokens", "completion_tokens", "cost_nanousd")
# The days first, then the names with the most tokens. `used` are rows with `name`, `on` and what is summed.
DAYS_AND_NAMES = """
    SELECT grouping(name) = 1, "on", name, count(*) OVER (),
           sum("count"), sum(prompt_tokens), sum(completion_tokens), sum(cost_nanousd)
      FROM used
     GROUP BY GROUPING SETS (("on"), (name))
     ORDER BY grouping(name) DESC, sum(prompt_tokens) + sum(completion_tokens) DESC, name
     LIMIT %s
"""
OTHER = _("all others")

type By = Literal["style", "key", "version"]
type Name = str | UUID | int | None  # of a style, a key or a version


@dataclass(frozen=True)
class Span:
    """The days that are summed, and those before that they are compared with; each end is exclusive.

    Only whole days are compared: those until `complete_end`. `month` names a calendar month, `2026-11`; None:
    the days until today.
    """

    start: date
    end: date
    complete_end: date
    before_start: date
    before_end: date
    month: str | None = None

    @property
    def last_day_before(self) -> date:
        return self.before_end - timedelta(days=1)

    @property
    def day_count(self) -> int:
        return (self.end - self.start).days


def month_span(period: str, now: datetime) -> Span:
    """Return a calendar month. The one that runs is compared with as many days of the month before."""
    start, end = (moment.date() for moment in months.bounds(period))
    before_start = months.bounds(months.before(period))[0].date()
    if not start <= now.date() < end:
        return Span(start, end, end, before_start, start, period)
    before_end = min(start, before_start + (now.date() - start))
    return Span(start, end, now.date(), before_start, before_end, period)


def days_span(count: int, now: datetime) -> Span:
    """Return the latest days with today. Without today they are compared with as many before them."""
    today = now.date()
    start = today - timedelta(days=count - 1)
    return Span(start, today + timedelta(days=1), today, start - (today - start), start)


class TooManyToSum(Conflict):
    """{requests:,} requests are too many to sum by version here. Use the API's `usage` to sum them by day."""


@dataclass
class Sums:
    """What was used."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_nanousd: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def add(self, other: "Sums") -> None:
        """Add what was used besides."""
        self.requests += other.requests
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.cost_nanousd += other.cost_nanousd


@dataclass(frozen=True)
class Segment:
    """A part of a day's bar. `colour` counts from 0; y and height are of HEIGHT, from the top."""

    name: str
    colour: int
    tokens: int
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    """One day."""

    day: date
    x: float
    width: float
    sums: Sums
    segments: list[Segment]


@dataclass(frozen=True)
class Row:
    """One style, key or version of the table; `value` is what the log's filter takes."""

    name: str
    value: str
    colour: int
    sums: Sums


@dataclass(frozen=True)
class RunningSum:
    """The month's tokens, day after day, against its cap: points of a picture, and what they come to."""

    line: str
    forecast: str
    cap_y: float | None
    top: int
    expected_tokens: int | None


@dataclass
class UsageSums:
    """The usage of some days as the page shows it.

    `changes` are by how many percent each figure changed against the days before; none for what was 0 then.
    """

    span: Span
    by: By
    total: Sums = field(default_factory=Sums)
    changes: dict[str, float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    top: int = 0
    running: RunningSum | None = None

    @property
    def has_usage(self) -> bool:
        return self.total.requests > 0

    @property
    def half(self) -> int:
        return self.top // 2

    @property
    def label_days(self) -> int:
        """Return how many days there are from one label of the chart to the next."""
        return {7: 1, 90: 15}.get(self.span.day_count, 7)


def sum_usage(
    tenant: Tenant, span: Span, by: By, *, style: str = "", cap: int | None, now: datetime
) -> UsageSums:
    """Return the sums of some days. By version they are of one style. Raises TooManyToSum, UsageDeleted."""
    usage_sums = UsageSums(span, by)
    rows = (
        _rows_of_version(tenant, span, style)
        if by == "version"
        else _rows_of_days(tenant, span.start, span.end, by, style)
    )
    by_day, by_name, name_count = _sum_both(rows)
    usage_sums.total = _sum(by_day.values())
    if tenant.created_at.date() <= span.before_start:
        complete = _sum(sums for day, sums in by_day.items() if day < span.complete_end)
        usage_sums.changes = _compare(_sum_before(tenant, span, style), complete)
    ranked = list(by_name)
    named = {name: number for number, name in enumerate(ranked[:SEGMENTS])}
    parts = _parts(rows, named)
    labels = _labels(tenant, by, ranked)
    usage_sums.rows = _table(by_name, named, labels)
    usage_sums.rows += _rest(name_count, by_name, usage_sums.total)
    usage_sums.top = nice_top(max((sums.tokens for sums in by_day.values()), default=0))
    usage_sums.bars = _bars(usage_sums, by_day, parts, [labels[name] for name in named])
    if span.month:
        usage_sums.running = _running_sum(usage_sums, cap, now)
    return usage_sums


def nice_top(highest: int) -> int:
    """Return the even number, 2, 4, 10, 20, 40, 100 …, at which an axis ends that must hold a value."""
    top = 2
    while top < highest:
        leading = str(top)[0]
        top = top * 5 // 2 if leading == "4" else top * 2
    return top


def known_periods(tenant: Tenant, now: datetime) -> list[str]:
    """Return this month and those with usage or trainings, the newest first; three years at most."""
    used = UsageDaily.objects.filter(tenant=OuterRef("pk")).order_by("day").values("day")[:1]
    trained = TrainingHold.objects.filter(tenant=OuterRef("pk")).order_by("period").values("period")[:1]
    firsts = Tenant.objects.filter(pk=tenant.pk).values_list(Subquery(used), Subquery(trained))
    first_day, first_trained = firsts.get()
    period = months.period_of(now)
    oldest = min(f"{first_day:%Y-%m}" if first_day else period, first_trained or period)
    periods = [period]
    while period > oldest and len(periods) < 36:
        period = months.before(period)
        periods.append(period)
    return periods


def _rows_of_days(tenant: Tenant, start: date, end: date, by: By, style: str) -> Any:
    """Return usage by day, with `name` and `on` for what it is summed by."""
    days = UsageDaily.objects.filter(tenant=tenant, day__gte=start, day__lt=end)
    if style:
        days = days.filter(style_name=style)
    days = days.annotate(name=F("style_name") if by == "style" else F("key_id"), on=F("day"))
    return days.annotate(count=F("requests"))


def _sum_before(tenant: Tenant, span: Span, style: str) -> Sums:
    """Return the usage of the days that a span is compared with."""
    rows = _rows_of_days(tenant, span.before_start, span.before_end, "style", style)
    sums = rows.aggregate(*(Sum(name, default=0) for name in SUMMED))
    return Sums(*(int(sums[f"{name}__sum"]) for name in SUMMED))


def _compare(before: Sums, after: Sums) -> dict[str, float]:
    percents = {}
    for name, count in vars(before).items():
        if count:
            percents[name] = 100 * (getattr(after, name) - count) / count
    return percents


def _rows_of_version(tenant: Tenant, span: Span, style: str) -> Any:
    """Return the requests of one style in the same form. Raises TooManyToSum, UsageDeleted."""
    start, end = (datetime.combine(day, time(), UTC) for day in (span.start, span.end))
    usage_report.require_log(tenant, start, end)
    days = UsageDaily.objects.filter(tenant=tenant, style_name=style, day__gte=span.start, day__lt=span.end)
    requests = days.aggregate(all=Sum("requests", default=0))["all"]
    if requests > MAX_EVENTS:
        raise TooManyToSum(requests=requests)
    events = UsageEvent.objects.filter(
        tenant=tenant, style_name=style, admitted_at__gte=start, admitted_at__lt=end
    ).exclude(prompt_tokens=0, completion_tokens=0)
    on = TruncDate("admitted_at", tzinfo=UTC)
    return events.annotate(name=F("version_number"), on=on, count=Value(1))


def _sum_both(rows: Any) -> tuple[dict[date, Sums], dict[Name, Sums], int]:
    """Return the sums of each day, those of the most used names in order, and how many names there are.

    One pass over the days' rows, of which a large workspace has 100,000 a month.
    """
    inner, parameters = rows.order_by().values("name", "on", *SUMMED).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"WITH used AS ({inner}) {DAYS_AND_NAMES}", [*parameters, MAX_DAYS + MAX_ROWS])
        found = cursor.fetchall()
    by_day: dict[date, Sums] = {}
    by_name: dict[Name, Sums] = {}
    for is_day, day, name, _names, *sums in found:
        if is_day:
            by_day[day] = Sums(*map(int, sums))
        elif len(by_name) < MAX_ROWS:
            by_name[name] = Sums(*map(int, sums))
    group_count = found[0][3] if found else 0
    return by_day, by_name, group_count - len(by_day)


def _parts(rows: Any, named: Mapping[Name, int]) -> dict[tuple[date, int], int]:
    """Return (day, colour) → tokens of the most used names; a day's rest is what they leave."""
    # SQL's IN never finds NULL: requests without a version are in the rest.
    used = rows.filter(name__in=[name for name in named if name is not None])
    by_part = used.order_by().values_list("on", "name")
    sums = by_part.annotate(tokens=Sum(F("prompt_tokens") + F("completion_tokens")))
    return {(day, named[name]): tokens for day, name, tokens in sums}


def _labels(tenant: Tenant, by: By, names: Sequence[Any]) -> dict[Name, str]:
    """Return how people read what the rows are summed by."""
    if by == "style":
        return {name: name for name in names}
    if by == "version":
        return {
            name: gettext("no version") if name is None else gettext("version {name}").format(name=name)
            for name in names
        }
    known = ApiKey.objects.filter(tenant=tenant, pk__in=names).values_list("pk", "name", "last4")
    return {pk: f"{name} …{last4}" if last4 else name for pk, name, last4 in known}


def _table(by_name: Mapping[Name, Sums], named: Mapping[Name, int], labels: Mapping[Name, str]) -> list[Row]:
    rows = []
    for name, sums in by_name.items():
        value = "" if name is None else str(name)
        rows.append(Row(labels[name], value, named.get(name, SEGMENTS), sums))
    return rows


def _rest(name_count: int, by_name: Mapping[Name, Sums], total: Sums) -> list[Row]:
    """Return one row for all that is not among the most used, if there is more."""
    count = name_count - len(by_name)
    if count < 1:
        return []
    shown = _sum(by_name.values())
    rest = Sums(
        total.requests - shown.requests,
        total.prompt_tokens - shown.prompt_tokens,
        total.completion_tokens - shown.completion_tokens,
        total.cost_nanousd - shown.cost_nanousd,
    )
    return [Row(gettext("{count} more").format(count=intcomma(count)), "", SEGMENTS, rest)]


def _sum(parts: Iterable[Sums]) -> Sums:
    total = Sums()
    for part in parts:
        total.add(part)
    return total


def _bars(
    usage_sums: UsageSums,
    by_day: Mapping[date, Sums],
    parts: Mapping[tuple[date, int], int],
    labels: Sequence[str],
) -> list[Bar]:
    """Return a bar for each day, its most used part at the bottom."""
    span = usage_sums.span
    width = WIDTH / span.day_count
    bars = []
    for number in range(span.day_count):
        day = span.start + timedelta(days=number)
        sums = by_day.get(day, Sums())
        tokens = [parts.get((day, colour), 0) for colour in range(len(labels))]
        tokens.append(sums.tokens - sum(tokens))
        segments = _segments(tokens, [*labels, str(OTHER)], usage_sums.top)
        x = round(number * width + width * (1 - BAR_SHARE) / 2, 2)
        bars.append(Bar(day, x, round(width * BAR_SHARE, 2), sums, segments))
    return bars


def _segments(tokens: Sequence[int], labels: Sequence[str], top: int) -> list[Segment]:
    """Return the parts of one bar from the bottom; the last of them is what the others leave."""
    segments = []
    y = float(HEIGHT)
    for number, (count, label) in enumerate(zip(tokens, labels, strict=True)):
        if not count:
            continue
        height = HEIGHT * count / top
        y -= height
        colour = SEGMENTS if label == str(OTHER) else number
        segments.append(Segment(label, colour, count, round(y, 3), round(height, 3)))
    return segments


def _running_sum(month: UsageSums, cap: int | None, now: datetime) -> RunningSum:
    """Return a month's tokens so far as a line; of the month that runs also where it leads at this pace."""
    expected = _expected_tokens(month, now)
    top = nice_top(max(month.total.tokens, expected or 0))
    if cap and cap <= top * 4:  # a cap far above the line would flatten it
        top = nice_top(max(top, cap))
    points = _points_of_days(month, top, now)
    forecast: list[tuple[float, float]] = []
    if expected:
        forecast = [points[-1], (float(WIDTH), HEIGHT - HEIGHT * expected / top)]
    cap_y = round(HEIGHT - HEIGHT * cap / top, 2) if cap and cap <= top else None
    return RunningSum(_path(points), _path(forecast), cap_y, top, expected)


def _elapsed(span: Span, now: datetime) -> timedelta | None:
    """Return how long a month has run; None for one that is over."""
    elapsed = now - datetime.combine(span.start, time(), UTC)
    return elapsed if span.start <= now.date() < span.end else None


def _expected_tokens(month: UsageSums, now: datetime) -> int | None:
    """Return what the month comes to at this pace; None for one that is over, or has only begun."""
    elapsed = _elapsed(month.span, now)
    if elapsed is None or elapsed < FORECAST_FROM:
        return None
    return round(month.total.tokens * (timedelta(days=month.span.day_count) / elapsed))


def _points_of_days(month: UsageSums, top: int, now: datetime) -> list[tuple[float, float]]:
    """Return the running sum at the end of each day, in the picture's units; today's at this moment."""
    day_count = month.span.day_count
    elapsed = _elapsed(month.span, now)
    shown_days = day_count if elapsed is None else elapsed.days + 1
    used = 0
    points = [(0.0, float(HEIGHT))]
    for number, bar in enumerate(month.bars[:shown_days], start=1):
        used += bar.sums.tokens
        points.append((WIDTH * number / day_count, HEIGHT - HEIGHT * used / top))
    if elapsed is not None:  # today is not over
        points[-1] = (WIDTH * (elapsed / timedelta(days=day_count)), points[-1][1])
    return points


def _path(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{y:.3f}" for x, y in points)
