"""Pages about plans and prices: what the plan allows, what another one would bring, the change; prices."""

from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from accounts import subscriptions
from adapters.public import name_public_styles
from billing import plan_changes
from billing.month_report import month_meter
from billing.plan_changes import Offer
from core import months
from core.money import usd, usd_at_a_glance
from metering import plans, price_book, trainings
from metering.allowance import make_allowance
from metering.forms import MILLION
from metering.ledger import usage_of
from metering.models import PlanVersion
from metering.plans import MonthTerms
from metering.price_book import Schedule
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
        "fee": plan_changes.fee_text(version),
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
    prices = plans.limits_of(tenant, now, version).prices
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
    for name, values in plan_changes.compare_plans([column["version"] for column in columns]):
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
        "fee": plan_changes.fee_text(offer.version),
        "is_at_once": offer.is_at_once,
        "takes_effect_at": offer.takes_effect_at,
        "refusals": offer.refusals,
        "is_scheduled": is_scheduled,
        "unpaid": offer.unpaid,
        "distrust": offer.distrust.message if offer.distrust else "",
    }


@require_GET
def show_prices(request: HttpRequest) -> HttpResponse:
    """Show everybody the plans, and what tokens cost."""
    now = timezone.now()
    prices = _price_rows(price_book.announced_prices(now), now)
    own_prices = []
    for name, schedule in _public_schedules(now):
        own_prices.append((name, _price_rows(schedule, now)))
    versions = []
    for version in [*plans.offered_plans(), *plans.announced_plans()]:
        begins = version.effective_from if version.effective_from > now else None
        fee = usd(version.monthly_fee_nanousd)
        versions.append((version, fee, begins, plan_changes.overage_text(version)))
    context = {
        "versions": versions,
        "prices": prices,
        "own_prices": own_prices,
        "training_prices": _training_rows(now),
    }
    return render(request, "billing/prices.html", context)


def _public_schedules(now: datetime) -> list[tuple[str, Schedule]]:
    """Return name and prices of what has its own: the base model, and public styles in their order."""
    schedules = price_book.schedules_of(None, now)
    shown = []
    for style_id, model_name in name_public_styles(schedules.keys()).items():
        shown.append((model_name, schedules[style_id]))
    shown.sort(key=itemgetter(0))
    base = price_book.base_schedule(now)
    return [("base", base), *shown] if base else shown


def _training_rows(now: datetime) -> list[dict[str, object]]:
    """Return what training a style costs in dollars a million trained tokens, and when that changes."""
    rows: list[dict[str, object]] = []
    for begins, token_nanousd in trainings.announced_prices(now):
        rows.append({"from": begins if begins > now else None, "price": usd(MILLION * token_nanousd)})
    return rows


def _price_rows(schedule: Schedule, now: datetime) -> list[dict[str, object]]:
    """Return prices in dollars a million tokens; an entry without any means the price of every style."""
    rows = []
    for entry in schedule:
        begins = entry.effective_from if entry.effective_from > now else None
        row: dict[str, object] = {"from": begins, "author_percent": entry.author_percent}
        if entry.amounts:
            row |= price_book.dollars_a_million(entry.amounts)
        rows.append(row)
    return rows
