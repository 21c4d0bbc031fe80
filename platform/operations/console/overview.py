"""The console's first page, in four groups. Each figure links to the list where more of it is shown."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import redis
from django.core.cache import cache
from django.db.models import Count, Min, Q, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from adapters.models import AdapterVersion, Engine, Style
from billing.public import count_open_transfers, used_nanousd
from core import valkey
from core.charts import SPANS, Chart, Span, draw_bars, find_span
from core.console import Figure, Level, list_address
from core.money import usd, usd_about
from inference.public import read_backlog
from metering.models import Invoice
from metering.unpaid import sum_rests
from operations.models import FailedTask
from operations.monitoring import gateway_metrics, series
from operations.monitoring.series import Interval
from tenants.models import Tenant, User

LAG_NOTICED_S = 60
USED_KEPT_S = 300
WAITING = ("uploaded", "valid", "pushing")
LATELY = timedelta(days=7)
FAILED_TASKS_LATELY = timedelta(hours=1)
REVIEW_LATE = timedelta(days=2)
REFUSALS_SHOWN = 8


@dataclass(frozen=True)
class Trend:
    """A figure of the last five minutes, and how it was over a longer time."""

    figure: Figure
    chart: Chart


@dataclass(frozen=True)
class Group:
    """Figures about one subject."""

    title: str
    figures: list[Figure]
    trends: Sequence[Trend] = ()


def overview_context(request: HttpRequest) -> dict[str, object]:
    """Return what the page shows to an operator: the figures of what they may see, and charts."""
    span = find_span(request.GET.get("span"))
    now = timezone.now()
    has_role = request.user.is_superuser or bool(request.user.get_all_permissions())
    if not has_role:
        return {"has_role": False}
    intervals = series.read_series(span, now)
    return {
        "has_role": True,
        "groups": list(_groups(request, now, list(_trends(intervals, span, now)))),
        "spans": SPANS,
        "span": span,
        "refusals": _sum_refusals(intervals),
    }


type Ask = Callable[[datetime], Iterator[Figure]]


def _groups(request: HttpRequest, now: datetime, traffic: list[Trend]) -> Iterator[Group]:
    """Yield the groups with figures whose lists the operator may read."""
    may_see_traffic = request.user.has_perm("metering.view_usageevent")
    shown: set[Figure] = set()
    for title, parts in GROUPS.items():
        figures: list[Figure] = []
        for permission, ask in parts:
            if request.user.has_perm(permission):
                figures += [figure for figure in _ask(ask, now) if figure not in shown]
                shown.update(figures)
        trends = traffic if title == HEALTH and may_see_traffic else []
        if figures or trends:
            yield Group(title, figures, trends)


def _ask(ask: Ask, now: datetime) -> list[Figure]:
    """Return a part's figures, or that the store that they are in is down."""
    try:
        return list(ask(now))
    except redis.RedisError:
        note = "not responding, so all requests are refused"
        return [Figure("Valkey", "down", note, reverse("admin:jobs"), Level.FAULT)]


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _engines(now: datetime) -> Iterator[Figure]:
    known = Engine.objects.in_service().count()
    answering = Engine.objects.answering()
    silent = Engine.objects.in_service().exclude(pk__in=answering.values("pk"))
    names = ", ".join(silent.order_by("name").values_list("name", flat=True)[:3])
    note = f"not responding: {names}" if names else "all responding" if known else "none registered"
    level = Level.FAULT if names else Level.NORMAL
    address = list_address("adapters_engine", is_gone__exact=0, is_draining__exact=0)
    yield Figure("Engines", f"{answering.count()} of {known}", note, address, level)


def _gateways(now: datetime) -> Iterator[Figure]:
    """Yield how many requests wait and run at engines, as the gateways report."""
    states = gateway_metrics.read_processes(valkey.client())
    waiting = running = 0
    for state in states:
        for facts in state["engines"].values():
            waiting += facts["waiting"]
            running += facts["running"]
    note = f"{running:,} running; {len(states)} gateway process{'' if len(states) == 1 else 'es'}"
    is_fault = not states and Engine.objects.in_service().exists()
    level = Level.FAULT if is_fault else Level.NORMAL
    yield Figure("Waiting requests", f"{waiting:,}", note, list_address("adapters_engine"), level)


def _failing_jobs(now: datetime) -> Iterator[Figure]:
    since = now - FAILED_TASKS_LATELY
    failing = FailedTask.objects.filter(last_at__gt=since).count()
    address = list_address("operations_failedtask", last_at__gte=_iso(since))
    level = Level.FAULT if failing else Level.NORMAL
    yield Figure("Failing jobs", f"{failing:,}", "in the last hour", address, level)


def _unpublished(now: datetime) -> Iterator[Figure]:
    tenants = Tenant.objects.stale().count()
    engines = Engine.objects.stale().count()
    note = f"of workspaces; {engines:,} of engines"
    yield Figure("Changes to publish", f"{tenants:,}", note, list_address("tenants_tenant", state="stale"))


def _placements(now: datetime) -> Iterator[Figure]:
    is_wanted = Q(placements__is_desired=True)
    is_loaded = Q(placements__loaded_at__isnull=False)
    sums = Engine.objects.in_service().aggregate(
        wanted=Count("placements", filter=is_wanted),
        missing=Count("placements", filter=is_wanted & ~is_loaded),
        loaded=Count("placements", filter=is_loaded),
        loads=Sum("placements__loads", default=0),
    )
    slots = Engine.objects.in_service().aggregate(slots=Sum("max_loras"), cached=Sum("max_cpu_loras"))
    room = (
        f"{slots['slots'] or 0:,} slots, memory for {slots['cached'] or 0:,}; {sums['loads']:,} loads so far"
    )
    loaded = list_address("adapters_placement", engines="in-service", loaded_at__isnull=0)
    yield Figure("Styles on engines", f"{sums['loaded']:,}", room, loaded)
    filters = {"engines": "in-service", "is_desired__exact": 1, "loaded_at__isnull": 1}
    missing = list_address("adapters_placement", **filters)
    yield Figure("Waiting to load", f"{sums['missing']:,}", f"of {sums['wanted']:,} requested", missing)


def _versions(now: datetime) -> Iterator[Figure]:
    waiting = AdapterVersion.objects.filter(status__in=WAITING).count()
    in_work = list_address("adapters_adapterversion", status__in=",".join(WAITING))
    yield Figure("Versions in progress", f"{waiting:,}", "being checked or loaded", in_work)
    since = now - LATELY
    failed = AdapterVersion.objects.filter(status="failed", created_at__gt=since).count()
    filters = {"status__exact": "failed", "created_at__gte": _iso(since)}
    level = Level.SOON if failed else Level.NORMAL
    address = list_address("adapters_adapterversion", **filters)
    yield Figure("Failed versions", f"{failed:,}", "in the last seven days", address, level)


def _used(now: datetime) -> Iterator[Figure]:
    used = cache.get_or_set("overview:used", _used_of_two_months, USED_KEPT_S)
    this, before = used or _used_of_two_months()
    days = list_address("metering_usagedaily", day__gte=f"{now:%Y-%m}-01")
    yield Figure("Used this month", usd_about(this), f"last month by this day: {usd_about(before)}", days)


def _invoices(now: datetime) -> Iterator[Figure]:
    due = Invoice.objects.filter(state=Invoice.State.FINALIZED)
    address = list_address("metering_invoice", state__exact=Invoice.State.FINALIZED)
    yield Figure("Invoices due", f"{due.count():,}", usd(sum_rests(due)), address)


def _transfers(now: datetime) -> Iterator[Figure]:
    count = count_open_transfers()
    address = list_address("billing_payment", state__exact="open", provider__exact="manual")
    level = Level.SOON if count else Level.NORMAL
    yield Figure("Transfers to confirm", f"{count:,}", "payments by bank transfer", address, level)


def _backlog(now: datetime) -> Iterator[Figure]:
    address = list_address("metering_usageevent")
    backlog = read_backlog(valkey.client())
    overdue = backlog.overdue_holds
    note = f"{overdue:,} of them overdue" if overdue else "of requests in progress"
    yield Figure(
        "Open holds", f"{backlog.open_holds:,}", note, address, Level.SOON if overdue else Level.NORMAL
    )
    lag_s = backlog.oldest_event_s
    note = f"{backlog.pending_events:,} events waiting for the ledger"
    level = Level.FAULT if lag_s > LAG_NOTICED_S else Level.NORMAL
    yield Figure("Ledger lag", _seconds(lag_s), note, address, level)
    if backlog.refused_events:
        note = "events that the ledger refused; review them"
        yield Figure("Refused usage", f"{backlog.refused_events:,}", note, address, Level.FAULT)


def _reviews(now: datetime) -> Iterator[Figure]:
    offered = Style.objects.offered().order_by().aggregate(count=Count("pk"), oldest=Min("offered_at"))
    changed = Style.objects.changed().order_by().aggregate(count=Count("pk"), oldest=Min("changed_at"))
    oldest = min(filter(None, [offered["oldest"], changed["oldest"]]), default=now)
    level = Level.SOON if oldest < now - REVIEW_LATE else Level.NORMAL
    note = f"{offered['count']:,} new, {changed['count']:,} changed"
    total = f"{offered['count'] + changed['count']:,}"
    yield Figure("Pending approval", total, note, reverse("admin:adapters_style_queue"), level)


def _workspaces(now: datetime) -> Iterator[Figure]:
    counts = Tenant.objects.filter(deleted_at=None).aggregate(
        all=Count("pk"), suspended=Count("pk", filter=~Q(suspended_at=None))
    )
    note = f"{counts['suspended']:,} suspended"
    yield Figure("Workspaces", f"{counts['all']:,}", note, list_address("tenants_tenant", state="open"))


def _people(now: datetime) -> Iterator[Figure]:
    since = now - LATELY
    count = User.objects.filter(date_joined__gt=since).count()
    address = list_address("tenants_user", date_joined__gte=_iso(since))
    yield Figure("New people", f"{count:,}", "in the last seven days", address)


HEALTH = "Service health"
GROUPS: dict[str, list[tuple[str, Ask]]] = {
    HEALTH: [
        ("adapters.view_engine", _engines),
        ("adapters.view_engine", _gateways),
        ("operations.view_failedtask", _failing_jobs),
        ("tenants.view_tenant", _unpublished),
    ],
    "Styles": [
        ("adapters.view_placement", _placements),
        ("adapters.view_adapterversion", _versions),
    ],
    "Money": [
        ("metering.view_usagedaily", _used),
        ("metering.view_invoice", _invoices),
        ("billing.view_payment", _transfers),
        ("metering.view_usageevent", _backlog),
    ],
    "People and reviews": [
        ("adapters.view_style", _reviews),
        ("tenants.view_tenant", _workspaces),
        ("tenants.view_user", _people),
    ],
}


def _trends(intervals: list[Interval], span: Span, now: datetime) -> Iterator[Trend]:
    """Yield the figures of the traffic, each with its chart."""
    latest = series.read_latest(now)
    requests = list_address("metering_usageevent")
    measures: list[
        tuple[str, str, Callable[[Interval], tuple[str, str]], Callable[[Interval], float], str]
    ] = [
        ("Requests", requests, _show_requests, lambda one: one.requests_per_s, "{:,.1f}/s"),
        ("Tokens", requests, _show_tokens, lambda one: one.tokens_per_s, "{:,.0f}/s"),
        ("First token", requests, _show_first_token, _first_token_s, "{:,.2f} s"),
        ("Errors", "#errors", _show_errors, _errors_per_minute, "{:,.1f} per minute"),
    ]
    for title, address, show, measure, form in measures:
        value, note = show(latest) if latest else ("-", "no sample in the last five minutes")
        measured = "First token, 95th percentile" if title == "First token" else title
        yield Trend(Figure(title, value, note, address), _chart(measured, intervals, span, measure, form))


def _show_requests(latest: Interval) -> tuple[str, str]:
    return f"{latest.requests_per_s:,.1f}/s", "in the last five minutes"


def _show_tokens(latest: Interval) -> tuple[str, str]:
    return f"{latest.tokens_per_s:,.0f}/s", "input and output"


def _show_first_token(latest: Interval) -> tuple[str, str]:
    half, most = latest.first_byte_s(0.5), latest.first_byte_s(0.95)
    if half is None or most is None:
        return "-", "no streams in the last five minutes"
    return _seconds(half), f"median; 95% within {_seconds(most)}"


def _show_errors(latest: Interval) -> tuple[str, str]:
    return f"{sum(latest.refusals.values()):,}", "in the last five minutes"


def _used_of_two_months() -> tuple[int, int]:
    """Return what usage costs of this month until today, and of the last one until the same day."""
    today = timezone.now().date()
    last_of_month_before = today.replace(day=1) - timedelta(days=1)
    same_day = last_of_month_before.replace(day=min(today.day, last_of_month_before.day))
    this = used_nanousd(today.replace(day=1), today)
    return this, used_nanousd(date(same_day.year, same_day.month, 1), same_day)


def _first_token_s(interval: Interval) -> float:
    return interval.first_byte_s(0.95) or 0.0


def _errors_per_minute(interval: Interval) -> float:
    return 60 * sum(interval.refusals.values()) / interval.seconds


def _chart(
    title: str, intervals: list[Interval], span: Span, measure: Callable[[Interval], float], form: str
) -> Chart:
    points = [(interval.ends_at, measure(interval)) for interval in intervals]
    return draw_bars(title, points, span=span, form=form, ends=timezone.now())


def _sum_refusals(intervals: list[Interval]) -> list[tuple[str, int]]:
    """Return the most frequent error codes of a span."""
    sums: dict[str, int] = {}
    for interval in intervals:
        for code, count in interval.refusals.items():
            sums[code] = sums.get(code, 0) + count
    return sorted(sums.items(), key=lambda one: -one[1])[:REFUSALS_SHOWN]


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:,.1f} s" if seconds < 100 else f"{seconds / 60:,.0f} min"
