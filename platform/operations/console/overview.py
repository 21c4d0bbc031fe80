"""The console's first page, in four groups. Each figure links to the list where more of it is shown."""

from collections import Counter
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
from core.charts import SPANS, Chart, Measure, Span, draw_measures, find_span
from core.console import Figure, Level, list_address
from core.money import usd, usd_about
from metering.models import Invoice
from metering.unpaid import sum_rests
from operations.console.menu import LEVELS, rows_address
from operations.monitoring import series
from operations.monitoring.findings import Finding, words_of_seconds, worst
from operations.monitoring.health import CHECKS
from operations.monitoring.series import Interval
from tenants.models import Tenant, User

USED_KEPT_S = 300
WAITING = ("uploaded", "valid", "pushing")
LATELY = timedelta(days=7)
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


def _check(name: str) -> list[Finding]:
    """Ask a health check. Raises what a store that is down raises."""
    return list(CHECKS[name].ask())


def _engines(now: datetime) -> Iterator[Figure]:
    known = [finding for finding in _check("engines") if finding.subject != "engines"]  # that none is there
    silent = [finding.subject.removeprefix("engine ") for finding in known if not finding.is_ok]
    note = f"not responding: {', '.join(silent[:3])}" if silent else "all responding"
    address = list_address("adapters_engine", is_gone__exact=0, is_draining__exact=0)
    value = f"{len(known) - len(silent)} of {len(known)}"
    yield Figure("Engines", value, note if known else "none registered", address, LEVELS[worst(known)])


def _gateways(now: datetime) -> Iterator[Figure]:
    """Yield how many requests wait and run at engines, as the gateways report."""
    [found] = _check("gateways")
    address = list_address("adapters_engine")
    yield Figure("Waiting requests", f"{found.value:,.0f}", found.seen, address, LEVELS[found.level])


def _failing_jobs(now: datetime) -> Iterator[Figure]:
    [found] = _check("failed tasks")
    value = f"{found.value:,.0f}"
    yield Figure("Failing jobs", value, "in the last hour", rows_address(found), LEVELS[found.level])


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
    [holds] = _check("holds")
    yield Figure("Open holds", f"{holds.value:,.0f}", holds.seen, address, LEVELS[holds.level])
    [lag] = _check("ledger")
    yield Figure("Ledger lag", words_of_seconds(lag.value), lag.seen, address, LEVELS[lag.level])
    [refused] = _check("refused usage")
    if not refused.is_ok:
        note = "events that the ledger refused; review them"
        yield Figure("Refused usage", f"{refused.value:,.0f}", note, address, LEVELS[refused.level])


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


LATELY_SHOWN = "in the last five minutes"
MEASURES: tuple[Measure[Interval], ...] = (
    ("Requests", lambda one: one.requests_per_s, "{:,.1f}/s"),
    ("Tokens", lambda one: one.tokens_per_s, "{:,.0f}/s"),
    ("First token, 95th percentile", lambda one: one.first_byte_s(0.95) or 0.0, "{:,.2f} s"),
    ("Errors", lambda one: 60 * sum(one.refusals.values()) / one.seconds, "{:,.1f} per minute"),
)


def _trends(intervals: list[Interval], span: Span, now: datetime) -> Iterator[Trend]:
    """Yield the figures of the traffic, each with its chart."""
    figures = _describe_traffic(series.read_latest(now))
    for figure, chart in zip(figures, draw_measures(MEASURES, intervals, span=span, ends=now), strict=True):
        yield Trend(figure, chart)


def _describe_traffic(latest: Interval | None) -> Iterator[Figure]:
    """Yield a figure for each measure."""
    requests = list_address("metering_usageevent")
    addresses = {"Requests": requests, "Tokens": requests, "First token": requests, "Errors": "#errors"}
    if latest is None:
        for title, address in addresses.items():
            yield Figure(title, "-", f"no sample {LATELY_SHOWN}", address)
        return
    yield Figure("Requests", f"{latest.requests_per_s:,.1f}/s", LATELY_SHOWN, requests)
    yield Figure("Tokens", f"{latest.tokens_per_s:,.0f}/s", "input and output", requests)
    half, most = latest.first_byte_s(0.5), latest.first_byte_s(0.95)
    if half is None or most is None:
        yield Figure("First token", "-", f"no streams {LATELY_SHOWN}", requests)
    else:
        note = f"median; 95% within {words_of_seconds(most)}"
        yield Figure("First token", words_of_seconds(half), note, requests)
    yield Figure("Errors", f"{sum(latest.refusals.values()):,}", LATELY_SHOWN, addresses["Errors"])


def _used_of_two_months() -> tuple[int, int]:
    """Return what usage costs of this month until today, and of the last one until the same day."""
    today = timezone.now().date()
    last_of_month_before = today.replace(day=1) - timedelta(days=1)
    same_day = last_of_month_before.replace(day=min(today.day, last_of_month_before.day))
    this = used_nanousd(today.replace(day=1), today)
    return this, used_nanousd(date(same_day.year, same_day.month, 1), same_day)


def _sum_refusals(intervals: list[Interval]) -> list[tuple[str, int]]:
    """Return the most frequent error codes of a span."""
    sums: Counter[str] = Counter()
    for interval in intervals:
        sums.update(interval.refusals)
    return sums.most_common(REFUSALS_SHOWN)
