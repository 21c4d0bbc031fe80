"""The page about the plan: what it allows, what another one would bring, and the change."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from accounts import subscriptions
from billing import plan_changes, plan_text
from billing.month_report import month_meter
from billing.plan_changes import Offer
from core import months
from core.money import usd_at_a_glance
from metering import plans
from metering.allowance import make_allowance
from metering.ledger import usage_of
from metering.models import PlanVersion
from metering.proration import MonthTerms
from metering.unpaid import unpaid_cap_nanousd
from tenants.access import MemberRequest, access_of, member_required
from tenants.action_view import action_view
from tenants.models import Tenant
from tenants.roles import Permission, requires


@require_GET
@member_required
@requires(to_read=Permission.READ_BILLING)
def show_plan(request: MemberRequest) -> HttpResponse:
    """Show the plan beside the other ones."""
    now = timezone.now()
    version, terms = plans.month_versions(request.tenant, now)
    scheduled = subscriptions.scheduled_change(request.tenant, now)
    offers = []
    for offer in plan_changes.list_offers(request.tenant, now):
        is_scheduled = scheduled is not None and scheduled.plan_version_id == offer.version.pk
        offers.append(_offer_context(offer, version, is_scheduled=is_scheduled))
    columns = [{"version": version, "title": version.plan.name, "is_current": True}, *offers]
    columns.sort(key=lambda column: column["version"].monthly_fee_nanousd)
    context = {
        "version": version,
        "fee": plan_text.fee_text(version),
        "columns": columns,
        "comparison": _comparison(columns),
        "offers": offers,
        "month": _month(request.tenant, version, terms, now),
        "unpaid": plan_changes.find_unpaid(request.tenant, now),
        "unpaid_cap": _unpaid_cap(request.tenant, version),
        "scheduled": scheduled,
        "invoiced": _invoiced(now),
        "month_fee": usd_at_a_glance(terms.fee_nanousd),
    }
    return render(request, "billing/plan.html", context)


@action_view(Permission.MANAGE_BILLING, to="billing:plan")
def change_plan(request: MemberRequest) -> str:
    """Change the plan: at once, or from the next month on."""
    now = timezone.now()
    chosen = request.POST.get("plan", "")
    _, subscription = plan_changes.change_plan(chosen, by=access_of(request), now=now)
    name = subscription.plan_version.plan.name
    if subscription.starts_at <= now:
        return gettext("You're now on {name}.").format(name=name)
    day = date_format(subscription.starts_at, gettext("j F"))
    return gettext("{name} starts on {day}. Nothing changes until then.").format(name=name, day=day)


@action_view(Permission.MANAGE_BILLING, to="billing:plan")
def keep_plan(request: MemberRequest) -> str:
    """Forget the change that is scheduled."""
    kept = plan_changes.keep_plan(by=access_of(request))
    return gettext("You're staying on {plan}.").format(plan=kept.plan.name)


def _month(tenant: Tenant, version: PlanVersion, terms: MonthTerms, now: datetime) -> dict[str, object]:
    period = months.period_of(now)
    used = usage_of(tenant.pk, period).tokens
    prices = plans.limits_of(tenant, now, version)
    allowance = make_allowance(version, terms)
    return month_meter(tenant, allowance, prices, used=used, now=now)


def _invoiced(now: datetime) -> dict[str, object]:
    """Return the days that a change today is invoiced for, and when: the day after the drafts."""
    start, end = months.bounds(months.period_of(now))
    return {
        "first_day": now.astimezone(UTC),
        "last_day": end - timedelta(days=1),
        "month": start,
        "next_month": end,
        "on": end + timedelta(days=1),
    }


def _unpaid_cap(tenant: Tenant, version: PlanVersion) -> str:
    """Return what may be unpaid until the first invoice is paid; "" where nothing bounds it."""
    unpaid_cap = unpaid_cap_nanousd(tenant, version)
    return "" if unpaid_cap is None else usd_at_a_glance(unpaid_cap)


def _comparison(columns: list[dict[str, Any]]) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Return the table's lines: a name, and for each plan its title, its value and whether it differs."""
    current = next(number for number, column in enumerate(columns) if column.get("is_current"))
    lines = []
    for name, values in plan_text.compare_plans([column["version"] for column in columns]):
        cells = [
            (column["title"], value, value != values[current])
            for column, value in zip(columns, values, strict=True)
        ]
        lines.append((name, cells))
    return lines


def _offer_context(offer: Offer, current: PlanVersion, *, is_scheduled: bool) -> dict[str, Any]:
    name = offer.version.plan.name
    is_newer_version = offer.version.plan_id == current.plan_id
    if is_newer_version:
        name = gettext("{plan} (newest version)").format(plan=name)
    fees = [
        {"plan": share.version.plan.name, "days": share.days, "amount": usd_at_a_glance(share.amount_nanousd)}
        for share in offer.terms.fees
        if share.amount_nanousd
    ]
    return {
        "fees": fees,
        "month_days": len(offer.terms.days),
        "month_fee": usd_at_a_glance(offer.terms.fee_nanousd),
        "month_included_tokens": offer.terms.included_tokens,
        "version": offer.version,
        "title": name,
        "is_newer_version": is_newer_version,
        "fee": plan_text.fee_text(offer.version),
        "is_at_once": offer.is_at_once,
        "takes_effect_at": offer.takes_effect_at,
        "refusals": offer.refusals,
        "is_scheduled": is_scheduled,
        "unpaid": offer.unpaid,
        "distrust": offer.distrust.message if offer.distrust else "",
    }
