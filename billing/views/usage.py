"""Pages about what was used: sums of a month or the latest days, and the log of requests."""

from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from billing import usage_sums
from billing.forms import MAX_NAME, RequestFilterForm
from core import months
from core.errors import Conflict
from core.money import usd, usd_at_a_glance
from core.pages import render_page_or_part
from metering import request_log, trainings, usage_report
from metering.forms import MILLION
from tenants.access import MemberRequest, member_required
from tenants.models import ApiKey, Tenant

BYS: tuple[str, ...] = get_args(usage_sums.By.__value__)
DAY_COUNTS = (7, 30, 90)  # until today, that a page sums
MAX_KEYS = 500  # that the filter offers
MAX_TRAININGS = 100  # that the usage page lists
FIRST_MONTH = datetime(2020, 1, 1, tzinfo=UTC)  # nobody wrote earlier


@require_GET
@member_required
def list_requests(request: MemberRequest) -> HttpResponse:
    """Show the log of a month's requests, a page of it, or what the filters leave of it."""
    chosen, period = _read_filter(request)
    try:
        after = _read_cursor(request)
    except request_log.BadCursor as error:
        raise BadRequest(error.message) from error
    found = request_log.list_requests(chosen, after, size=request_log.PAGE_SIZE + 1)
    rows = found[: request_log.PAGE_SIZE]
    context = {
        "rows": rows,
        "next_cursor": rows[-1].cursor if len(found) > len(rows) else None,
        "is_first_page": after is None,
        "form": _filter_form(request, chosen, period),
        "is_filtered": bool(chosen.style or chosen.key_id or chosen.outcome or chosen.request_id),
        "period": period,
        "period_name": months.in_words(period),
        "is_deleted": usage_report.is_log_deleted(request.tenant, period),
        "query": _query(request),
    }
    return render(request, "billing/requests.html", context)


@require_GET
@member_required
def show_request(request: MemberRequest, request_id: str) -> HttpResponse:
    """Show one request: a page, or for htmx what the drawer beside the log shows of it."""
    details = request_log.find_request(request.tenant, request_id)
    if details is None:
        raise Http404
    context = {"details": details, "row": details.row}
    return render_page_or_part(request, "billing/request.html", context)


@require_GET
@member_required
def export_requests(request: MemberRequest) -> StreamingHttpResponse:
    """Send the month's requests, or what the filters leave of them, as CSV."""
    chosen, period = _read_filter(request)
    lines = request_log.csv_lines(chosen)
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="requests-{period}.csv"'
    return answer


def usage_context(request: MemberRequest, *, plan_tokens: int) -> dict[str, Any]:
    """Return what the usage page shows of the days and the grouping that its address names.

    `plan_tokens` are those that the present plan allows a month.
    """
    now = timezone.now()
    days = _read_days(request)
    period = months.period_of(now) if days else _read_period(request, now)
    span = usage_sums.days_span(days, now) if days else usage_sums.month_span(period, now)
    by = request.GET.get("by", "style")
    if by not in BYS:
        by = "style"
    style = request.GET.get("style", "")[:MAX_NAME].replace("\x00", "")
    is_current = period == months.period_of(now)
    cap = plan_tokens if is_current else None
    context: dict[str, Any] = {
        "days": days,
        "range": f"days={days}" if days else f"month={period}",
        "day_counts": DAY_COUNTS,
        "period": period,
        "period_name": months.in_words(period),
        "periods": _periods(request),
        "is_current": is_current,
        "by": by,
        "style": style,
        "trainings": None if days else _trainings(request.tenant, period),
    }
    try:
        context["sums"] = usage_sums.sum_usage(request.tenant, span, by, style=style, cap=cap, now=now)  # type: ignore[arg-type]
    except Conflict as error:
        context["sums"] = usage_sums.sum_usage(request.tenant, span, "style", style=style, cap=cap, now=now)
        context |= {"sums_error": error.message, "by": "style"}
    return context


def _trainings(tenant: Tenant, period: str) -> dict[str, object] | None:
    """Return what a month was charged for trainings, with the newest entries of the ledger; None: nothing."""
    charged = trainings.charged_tokens(tenant.pk, period)
    if not charged:
        return None
    rows = []
    for entry in trainings.list_charges(tenant.pk, period)[:MAX_TRAININGS]:
        unit = usd(MILLION * (entry.amount_nanousd // entry.tokens))
        rows.append({"entry": entry, "unit": unit, "amount": usd(entry.amount_nanousd)})
    return {
        "count": sum(one.trainings for one in charged),
        "tokens": sum(one.tokens for one in charged),
        "cost": usd_at_a_glance(sum(one.cost_nanousd for one in charged)),
        "rows": rows,
    }


def _read_filter(request: MemberRequest) -> tuple[request_log.LogFilter, str]:
    """Return what the address filters by; what it says wrongly filters nothing, but a key that is none."""
    now = timezone.now()
    period = _read_period(request, now)
    start, end = months.bounds(period)
    outcome = request.GET.get("outcome", "")
    chosen = request_log.LogFilter(
        tenant=request.tenant,
        start=start,
        end=end,
        style=_read_text(request, "style"),
        key_id=_read_key(request),
        outcome=outcome if outcome in dict(request_log.OUTCOMES) else "",
        request_id=_read_text(request, "q"),
    )
    return chosen, period


def _filter_form(request: MemberRequest, chosen: request_log.LogFilter, period: str) -> RequestFilterForm:
    """Return the form of the filters, filled in with what was understood of the address."""
    initial = {
        "q": chosen.request_id,
        "month": period,
        "outcome": chosen.outcome,
        "style": chosen.style,
        "key": str(chosen.key_id or ""),
    }
    return RequestFilterForm(initial=initial, months=_periods(request), keys=_key_names(request))


def _read_text(request: MemberRequest, name: str) -> str:
    return request.GET.get(name, "").strip()[:MAX_NAME].replace("\x00", "")


def _read_key(request: MemberRequest) -> UUID | None:
    """Return the key that is chosen. A key of others is in no row, so it finds nothing."""
    try:
        return UUID(request.GET.get("key", ""))
    except ValueError:
        return None


def _read_cursor(request: MemberRequest) -> request_log.Cursor | None:
    written = request.GET.get("after", "")
    return request_log.Cursor.read(written) if written else None


def _read_days(request: MemberRequest) -> int | None:
    """Return how many of the latest days the address names; None where it names a month, or none of ours."""
    if request.GET.get("month"):
        return None
    known = {str(count): count for count in DAY_COUNTS}
    return known.get(request.GET.get("days", ""))


def _read_period(request: MemberRequest, now: datetime) -> str:
    """Return the month that the address names, this one where it names none."""
    written = request.GET.get("month", "")
    try:
        named = datetime.strptime(written, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        return months.period_of(now)
    return months.period_of(max(FIRST_MONTH, min(named, now)))


def _periods(request: MemberRequest) -> list[tuple[str, str]]:
    known = usage_sums.known_periods(request.tenant, timezone.now())
    return [(period, months.in_words(period)) for period in known]


def _key_names(request: MemberRequest) -> list[tuple[str, str]]:
    """Return the keys that the filter offers, the newest first."""
    keys = ApiKey.objects.filter(tenant=request.tenant).order_by("-created_at")[:MAX_KEYS]
    return [(str(key.pk), f"{key.name} …{key.last4}" if key.last4 else key.name) for key in keys]


def _query(request: MemberRequest) -> str:
    """Return the address's filters, without the place in the list."""
    parameters = request.GET.copy()
    parameters.pop("after", None)
    return parameters.urlencode()
