"""The console's first page: how the service does just now, and how it did. Each tile leads to its list."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import redis
from django.core.cache import cache
from django.db.models import Count, Q, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from adapters.models import AdapterVersion, Engine, Style
from billing.public import used_nanousd
from core import valkey
from core.charts import SPANS, Chart, Span, draw_bars, find_span
from core.money import usd
from inference.public import read_backlog
from operations.monitoring import gateway_metrics, series
from operations.monitoring.series import Interval
from tenants.models import FailedTask, Tenant

LAG_NOTICED_S = 60
USED_KEPT_S = 300
WAITING = ("uploaded", "valid", "pushing")
FAILED_LATELY = timedelta(days=7)
FAILED_TASKS_LATELY = timedelta(hours=1)
REFUSALS_SHOWN = 8


@dataclass(frozen=True)
class Tile:
    """One number, what it means, and where more of it stands."""

    title: str
    value: str
    note: str = ""
    address: str = ""
    is_alarming: bool = False


def overview_context(request: HttpRequest) -> dict[str, object]:
    """Return what the page shows to an operator: tiles of what they may see, and charts."""
    span = find_span(request.GET.get("span"))
    now = timezone.now()
    has_role = request.user.is_superuser or bool(request.user.get_all_permissions())
    if not has_role:
        return {"has_role": False}
    latest = series.read_latest(now)
    intervals = series.read_series(span, now)
    return {
        "has_role": True,
        "tiles": list(_tiles(request, latest)),
        "spans": SPANS,
        "span": span,
        "charts": list(_charts(intervals, span)),
        "refusals": _sum_refusals(intervals),
        "sampled_at": latest.ends_at if latest else None,
    }


def _tiles(request: HttpRequest, latest: Interval | None) -> Iterator[Tile]:
    """Yield the tiles whose lists the operator may read. A part that does not answer says so."""
    sections: list[tuple[str, Callable[[], Iterator[Tile]]]] = [
        ("tenants.view_usageevent", lambda: _traffic(latest)),
        ("adapters.view_engine", _engines),
        ("adapters.view_adapterversion", _styles),
        ("tenants.view_usageevent", _backlog),
        ("tenants.view_failedtask", _jobs),
        ("tenants.view_tenant", _unpublished),
        ("tenants.view_usagedaily", _money),
    ]
    for permission, ask in sections:
        if not request.user.has_perm(permission):
            continue
        try:
            yield from list(ask())
        except redis.RedisError:
            yield Tile("Valkey", "down", "Not responding, so all requests are refused.", is_alarming=True)


def _traffic(latest: Interval | None) -> Iterator[Tile]:
    address = reverse("admin:tenants_usageevent_changelist")
    if latest is None:
        yield Tile("Requests", "no sample yet", "Beat takes one sample per minute.", address)
        return
    yield Tile("Requests", f"{latest.requests_per_s:,.1f}/s", "in the last five minutes", address)
    yield Tile("Tokens", f"{latest.tokens_per_s:,.0f}/s", "input and output", address)
    half, most = latest.first_byte_s(0.5), latest.first_byte_s(0.95)
    if half is None or most is None:
        yield Tile("First token", "none", "no streams in the last five minutes", address)
    else:
        note = f"median; 95% within {_seconds(most)}"
        yield Tile("First token", _seconds(half), note, address)
    refused = sum(latest.refusals.values())
    worst = ", ".join(list(latest.refusals)[:2])
    note = f"in the last five minutes: {worst}" if worst else "in the last five minutes"
    yield Tile("Errors", f"{refused:,}", note, address)


def _engines() -> Iterator[Tile]:
    address = reverse("admin:adapters_engine_changelist")
    known = Engine.objects.in_service().count()
    answering = Engine.objects.answering().count()
    names = Engine.objects.in_service().exclude(pk__in=Engine.objects.answering().values("pk"))
    silent = ", ".join(names.order_by("name").values_list("name", flat=True)[:3])
    note = f"not responding: {silent}" if silent else "all responding"
    yield Tile("Engines", f"{answering} of {known}", note, address, answering < known or not known)
    placements = reverse("admin:adapters_placement_changelist")
    is_wanted = Q(placements__is_desired=True)
    is_loaded = Q(placements__loaded_at__isnull=False)
    sums = Engine.objects.in_service().aggregate(
        wanted=Count("placements", filter=is_wanted),
        missing=Count("placements", filter=is_wanted & ~is_loaded),
        loaded=Count("placements", filter=is_loaded),
        loads=Sum("placements__loads"),
    )
    slots = Engine.objects.in_service().aggregate(slots=Sum("max_loras"), cached=Sum("max_cpu_loras"))
    room = f"{slots['slots'] or 0:,} slots, memory for {slots['cached'] or 0:,}"
    note = f"{room}; {sums['loads'] or 0:,} loads so far"
    yield Tile("Styles on engines", f"{sums['loaded']:,}", note, placements)
    yield Tile("Waiting to load", f"{sums['missing']:,}", f"of {sums['wanted']:,} requested", placements)
    yield _queue(address)


def _queue(address: str) -> Tile:
    """Return how many requests wait and run at engines, by the gateways' own word."""
    states = gateway_metrics.read_processes(valkey.client())
    waiting = running = 0
    for state in states:
        for facts in state["engines"].values():
            waiting += facts["waiting"]
            running += facts["running"]
    note = f"{running:,} running; {len(states)} gateway {'process' if len(states) == 1 else 'processes'}"
    return Tile("Waiting for an engine", f"{waiting:,}", note, address, not states)


def _styles() -> Iterator[Tile]:
    address = reverse("admin:adapters_adapterversion_changelist")
    waiting = AdapterVersion.objects.filter(status__in=WAITING).count()
    in_work = f"{address}?status__in={','.join(WAITING)}"
    yield Tile("In progress", f"{waiting:,}", "versions being checked or loaded", in_work)
    lately = timezone.now() - FAILED_LATELY
    failed = AdapterVersion.objects.filter(status="failed", created_at__gt=lately).count()
    all_failed = f"{address}?status__exact=failed"
    yield Tile("Failed versions", f"{failed:,}", "in the last seven days", all_failed, failed > 0)
    offered = Style.objects.offered().count() + Style.objects.changed().count()
    to_approve = reverse("admin:adapters_style_queue")
    yield Tile("Pending approval", f"{offered:,}", "new styles and changes to public ones", to_approve)


def _jobs() -> Iterator[Tile]:
    lately = timezone.now() - FAILED_TASKS_LATELY
    failing = FailedTask.objects.filter(last_at__gt=lately).count()
    yield Tile("Failing jobs", f"{failing:,}", "in the last hour", reverse("admin:jobs"), failing > 0)


def _backlog() -> Iterator[Tile]:
    address = reverse("admin:tenants_usageevent_changelist")
    backlog = read_backlog(valkey.client())
    overdue = backlog.overdue_holds
    note = f"{overdue:,} of them overdue" if overdue else "unsettled requests"
    yield Tile("Open holds", f"{backlog.open_holds:,}", note, address, overdue > 0)
    lag_s = backlog.oldest_event_s
    note = f"{backlog.pending_events:,} events waiting for the ledger"
    yield Tile("Ledger lag", _seconds(lag_s), note, address, lag_s > LAG_NOTICED_S)
    if backlog.refused_events:
        yield Tile("Usage refused", f"{backlog.refused_events:,}", "needs manual review", address, True)


def _unpublished() -> Iterator[Tile]:
    address = reverse("admin:tenants_tenant_changelist")
    tenants = Tenant.objects.stale().count()
    engines = Engine.objects.stale().count()
    note = f"workspaces and {engines:,} engines not yet published to gateways"
    yield Tile("Changes to publish", f"{tenants:,}", note, address)


def _money() -> Iterator[Tile]:
    address = reverse("admin:tenants_usagedaily_changelist")
    used = cache.get_or_set("overview:used", _used_of_two_months, USED_KEPT_S)
    this, before = used or _used_of_two_months()
    yield Tile("Used this month", usd(this), f"last month by this day: {usd(before)}", address)


def _used_of_two_months() -> tuple[int, int]:
    """Return what usage costs of this month until today, and of the last one until the same day."""
    today = timezone.now().date()
    last_of_month_before = today.replace(day=1) - timedelta(days=1)
    same_day = last_of_month_before.replace(day=min(today.day, last_of_month_before.day))
    this = used_nanousd(today.replace(day=1), today)
    return this, used_nanousd(date(same_day.year, same_day.month, 1), same_day)


def _charts(intervals: list[Interval], span: Span) -> Iterator[Chart]:
    yield _chart("Requests per second", intervals, span, lambda one: one.requests_per_s, "{:,.1f}/s")
    yield _chart("Tokens per second", intervals, span, lambda one: one.tokens_per_s, "{:,.0f}/s")
    yield _chart("First token, 95th percentile", intervals, span, _first_token_s, "{:,.2f} s")
    yield _chart("Errors per minute", intervals, span, _errors_per_minute, "{:,.1f}")


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
