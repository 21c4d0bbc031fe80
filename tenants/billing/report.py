"""A month's usage in numbers and one sentence. Reads usage by day and the latest events only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Sum

from foundation import months
from foundation.money import usd
from tenants.billing import allowance_words, plans, price_book
from tenants.billing.allowance import Allowance, make_allowance
from tenants.billing.credits import credits_left
from tenants.billing.pricing import Prices
from tenants.models import Tenant, UsageDaily, UsageEvent

MAX_LATEST = 50
BADGES = {
    UsageEvent.Outcome.COMPLETE: "ok",
    UsageEvent.Outcome.CLIENT_DISCONNECT: "cut",
    UsageEvent.Outcome.UPSTREAM_ERROR: "failed",
    UsageEvent.Outcome.SWEPT: "cut",
}


@dataclass(frozen=True)
class StyleDay:
    """What a tenant used of one style on one day, over all keys."""

    day: date
    style_name: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_nanousd: int

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


def monthly_report(tenant: Tenant, now: datetime) -> dict[str, Any]:
    """Return what the usage page shows of the month that holds an aware moment."""
    start, end = months.bounds(months.period_of(now))
    present, dearest = plans.month_versions(tenant, now)
    prices, _ = price_book.find_prices(now)
    allowance = make_allowance(present, dearest)
    usage = _usage_of_month(tenant, start, end)
    used = sum(row.tokens for row in usage)
    spent = sum(row.cost_nanousd for row in usage)
    budget = plans.budget_of(tenant, present)
    return {
        "month": {**month_meter(tenant, allowance, prices, used=used, now=now), "cost": usd(spent)},
        "budget": {
            "percent": _percent(spent, budget),
            "sentence": budget_sentence(spent=spent, budget=budget, start=start, end=end),
            "amount": None if budget is None else usd(budget),
            "is_spent": budget is not None and spent >= budget,
            "is_plans": budget != tenant.monthly_nanousd,
        },
        "today": _sum_of_day(usage, now.date()),
        "by_style": _sum_by_style(usage),
        "days": _sum_by_day(usage, start.date(), end.date()),
        "latest": _latest_requests(tenant, start, end),
    }


def month_meter(
    tenant: Tenant, allowance: Allowance, prices: Prices, *, used: int, now: datetime
) -> dict[str, Any]:
    """Return how a month's tokens stand: what the meter counts to, and what comes after, in words."""
    meter = allowance.meter_tokens
    period = months.period_of(now)
    start, _ = months.bounds(period)
    beyond = allowance_words.beyond_sentence(
        used=used,
        allowance=allowance,
        prices=prices,
        credits_nanousd=credits_left(tenant, period),
        now=now,
    )
    return {
        "name": f"{start:%B}",
        "used_tokens": used,
        "meter_tokens": meter,
        "counts_included": allowance.counts_included,
        "max_tokens": allowance.max_tokens,
        "is_spent": used >= allowance.max_tokens,
        "percent": _percent(used, meter),
        "sentence": allowance_words.usage_sentence(used=used, allowance=allowance, now=now),
        "beyond": beyond,
    }


def budget_sentence(*, spent: int, budget: int | None, start: datetime, end: datetime) -> str:
    """Return how much of a month's budget is spent (nano-USD), and when a new one begins."""
    if budget is None:
        return f"{usd(spent)} is spent in {start:%B}; no budget bounds it."
    if spent >= budget:
        return f"All of {start:%B}'s budget of {usd(budget)} is spent; a new one begins on 1 {end:%B}."
    return f"{usd(spent)} of {start:%B}'s budget of {usd(budget)} is spent."


def _percent(used: int, cap: int | None) -> int:
    """Return how full a meter is, 100 at most; without a cap it is full."""
    return min(100, 100 * used // cap) if cap else 100


def _usage_of_month(tenant: Tenant, start: datetime, end: datetime) -> list[StyleDay]:
    days = UsageDaily.objects.filter(tenant=tenant, day__gte=start.date(), day__lt=end.date())
    sums = days.values_list("day", "style_name").annotate(
        Sum("requests"), Sum("prompt_tokens"), Sum("completion_tokens"), Sum("cost_nanousd")
    )
    return [StyleDay(*row) for row in sums]


def _sum_by_style(usage: Iterable[StyleDay]) -> list[dict[str, Any]]:
    """Return the styles' sums, the most used style first."""
    by_style: dict[str, list[StyleDay]] = {}
    for row in usage:
        by_style.setdefault(row.style_name, []).append(row)
    sums = []
    for name, days in by_style.items():
        cost_nanousd = sum(day.cost_nanousd for day in days)
        style_sum = {
            "name": name,
            "requests": sum(day.requests for day in days),
            "prompt_tokens": sum(day.prompt_tokens for day in days),
            "completion_tokens": sum(day.completion_tokens for day in days),
            "cost": usd(cost_nanousd),
        }
        sums.append(style_sum)
    return sorted(sums, key=lambda row: (-row["prompt_tokens"] - row["completion_tokens"], row["name"]))


def _sum_of_day(usage: Iterable[StyleDay], day: date) -> dict[str, Any]:
    """Return the requests, tokens and cost of one UTC day."""
    rows = [row for row in usage if row.day == day]
    return {
        "requests": sum(row.requests for row in rows),
        "tokens": sum(row.tokens for row in rows),
        "cost": usd(sum(row.cost_nanousd for row in rows)),
    }


def _sum_by_day(usage: Iterable[StyleDay], start: date, end: date) -> list[dict[str, Any]]:
    """Return tokens of each day in [start, end), with the height of its bar in percent of the highest."""
    tokens: dict[date, int] = {}
    day = start
    while day < end:
        tokens[day] = 0
        day += timedelta(days=1)
    for row in usage:
        tokens[row.day] += row.tokens
    highest = max(tokens.values()) or 1
    return [
        {"day": day, "tokens": count, "height_percent": round(100 * count / highest, 1)}
        for day, count in tokens.items()
    ]


def _latest_requests(tenant: Tenant, start: datetime, end: datetime) -> list[dict[str, Any]]:
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
            "cost": usd(event.cost_nanousd),
        }
        for event in events.order_by("-admitted_at")[:MAX_LATEST]
    ]
