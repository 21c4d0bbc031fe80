"""A month's usage in numbers and one sentence, from sums of usage by day; and the newest requests."""

from datetime import date, datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from billing.usage_sums import UsageSums
from core import months
from core.money import usd, usd_at_a_glance
from metering import plans, price_book, trainings
from metering.allowance import Allowance, OveragePolicy, describe_overage, make_allowance, usage_sentence
from metering.credits import credits_left
from metering.models import TokenPrices, UsageEvent
from metering.request_log import BADGES
from metering.usage_report import Used, sum_month
from tenants.models import Tenant


def monthly_report(tenant: Tenant, now: datetime, *, used: Used | None = None) -> dict[str, Any]:
    """Return what Home and the usage page show of the month that holds an aware moment.

    A page that has added up the month for its own pictures says what was `used`.
    """
    start, end = months.bounds(months.period_of(now))
    present, terms = plans.month_versions(tenant, now)
    general, _ = price_book.find_prices(now)
    allowance = make_allowance(present, terms)
    used = used or sum_month(tenant, start.date(), end.date(), now.date())
    period = months.period_of(now)
    costs = trainings.read_costs(tenant.pk, period, period)
    # The budget counts requests and trainings; what is held for trainings is not spent yet.
    spent = used.cost_nanousd + costs.charged_nanousd.get(period, 0)
    budget = plans.budget_of(tenant, present)
    return {
        "month": {
            **month_meter(tenant, allowance, general.amounts, used=used.tokens, now=now),
            "cost_nanousd": spent,
        },
        "budget": {
            "percent": _percent(spent, budget),
            "sentence": budget_sentence(spent=spent, budget=budget, start=start, end=end),
            "held": held_sentence(costs.held_nanousd),
            "amount": None if budget is None else usd(budget),
            "is_spent": budget is not None and spent >= budget,
            "is_plans": budget != tenant.monthly_nanousd,
        },
        "today": {
            "requests": used.day_requests,
            "tokens": used.day_tokens,
            "cost_nanousd": used.day_cost_nanousd,
        },
        "most_used": used.most_used,
    }


def used_of(sums: UsageSums, day: date) -> Used:
    """Return the usage of a month and of one of its days from the month's sums.

    Styles are named where the sums are by style.
    """
    today = sums.bars[day.day - 1].sums
    most_used = [row.value for row in sums.rows if row.value] if sums.by == "style" else []
    return Used(
        tokens=sums.total.tokens,
        cost_nanousd=sums.total.cost_nanousd,
        day_requests=today.requests,
        day_tokens=today.tokens,
        day_cost_nanousd=today.cost_nanousd,
        most_used=most_used,
    )


def month_meter(
    tenant: Tenant, allowance: Allowance, prices: TokenPrices, *, used: int, now: datetime
) -> dict[str, Any]:
    """Return how a month's tokens stand: what the meter counts to, and what comes after, in words."""
    meter = allowance.meter_tokens
    period = months.period_of(now)
    start, _ = months.bounds(period)
    overage = describe_overage(
        used=used,
        allowance=allowance,
        prices=prices,
        # Where further tokens are refused, credits buy nothing.
        credits_nanousd=0 if allowance.overage == OveragePolicy.REFUSED else credits_left(tenant, period),
        now=now,
    )
    return {
        "name": date_format(start, "F"),
        "used_tokens": used,
        "meter_tokens": meter,
        "counts_included": allowance.counts_included,
        "percent": _percent(used, meter),
        "sentence": usage_sentence(used=used, allowance=allowance, now=now),
        "overage": overage,
    }


def budget_sentence(*, spent: int, budget: int | None, start: datetime, end: datetime) -> SafeString:
    """Return how much of a month's budget is spent (nano-USD), and when a new one begins."""
    facts = {"spent": usd_at_a_glance(spent), "month": date_format(start, "F")}
    if budget is None:
        return format_html(gettext("{spent} spent in {month} (no budget set)"), **facts)
    facts["budget"] = usd_at_a_glance(budget)
    if spent < budget:
        return format_html(gettext("{spent} of {month}'s {budget} budget spent"), **facts)
    facts["day"] = date_format(end, gettext("j F"))
    return format_html(gettext("{month}'s {budget} budget is fully spent. It resets on {day}."), **facts)


def held_sentence(held_nanousd: int) -> SafeString | str:
    """Return what trainings in progress hold of the budget and the credits; "" where there is nothing."""
    if not held_nanousd:
        return ""
    sentence = gettext("Up to {held} more is reserved for trainings in progress.")
    return format_html(sentence, held=usd_at_a_glance(held_nanousd))


def _percent(used: int, cap: int | None) -> int:
    """Return how full a meter is, 100 at most; without a cap it is full."""
    return min(100, 100 * used // cap) if cap else 100


def latest_requests(tenant: Tenant, now: datetime, count: int) -> list[dict[str, Any]]:
    """Return the newest requests of the month that holds a moment."""
    start, end = months.bounds(months.period_of(now))
    events = UsageEvent.objects.filter(tenant=tenant, admitted_at__gte=start, admitted_at__lt=end)
    return [
        {
            "request_id": event.request_id,
            "at": event.admitted_at,
            "style": event.style_name,
            "version": event.version_number,
            "prompt_tokens": event.prompt_tokens,
            "completion_tokens": event.completion_tokens,
            "outcome": event.get_outcome_display(),
            "badge": BADGES[UsageEvent.Outcome(event.outcome)],
            "cost_nanousd": event.cost_nanousd,
        }
        for event in events.order_by("-admitted_at")[:count]
    ]
