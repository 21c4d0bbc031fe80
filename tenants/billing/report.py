"""A month's usage in numbers and one sentence. Reads the days and the latest events only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma, ordinal
from django.db.models import Sum

from foundation import months
from foundation.money import usd
from tenants.billing import plans
from tenants.models import Tenant, UsageDaily, UsageEvent

LATEST = 50
FIRST_DAYS = timedelta(days=1)
BADGES = {
    UsageEvent.Outcome.COMPLETE: "ok",
    UsageEvent.Outcome.CLIENT_DISCONNECT: "cut",
    UsageEvent.Outcome.UPSTREAM_ERROR: "failed",
    UsageEvent.Outcome.SWEPT: "cut",
}


@dataclass(frozen=True)
class Part:
    """What one style used on one day, over all keys."""

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
    parts = _parts(tenant, start, end)
    used = sum(part.tokens for part in parts)
    spent = sum(part.cost_nanousd for part in parts)
    limits = plans.limits_of(tenant, now)
    cap, budget = limits.monthly_tokens, limits.monthly_nanousd
    return {
        "month": {
            "name": f"{start:%B}",
            "used_tokens": used,
            "cap_tokens": cap,
            "percent": min(100, 100 * used // cap) if cap else 100,
            "sentence": sentence(used=used, cap=cap, start=start, end=end, now=now),
            "cost": usd(spent),
        },
        "budget": {
            "percent": min(100, 100 * spent // budget) if budget else 100,
            "sentence": budget_sentence(spent=spent, budget=budget, start=start, end=end),
            "amount": None if budget is None else usd(budget),
            "is_spent": budget is not None and spent >= budget,
            "is_plans": budget != tenant.monthly_nanousd,
        },
        "by_style": _by_style(parts),
        "days": _days(parts, start.date(), end.date()),
        "latest": _latest(tenant, start, end),
    }


def sentence(*, used: int, cap: int, start: datetime, end: datetime, now: datetime) -> str:
    """Return how much of a month's tokens is used, and when the cap comes at this pace."""
    name = f"{start:%B}"
    if used >= cap:
        return f"All of {name}'s {intcomma(cap)} tokens are used; new ones come on 1 {end:%B}."
    if not used:
        return f"None of {name}'s {intcomma(cap)} tokens are used yet."
    share = f"{100 * used // cap} %" if 100 * used >= cap else "less than 1 %"
    so_far = f"You have used {share} of {name}'s tokens"
    elapsed = now - start
    if elapsed < FIRST_DAYS:
        return f"{so_far}."
    if cap / used >= (end - start) / elapsed:
        return f"{so_far}; at this pace they last the month."
    reached = start + elapsed * (cap / used)
    return f"{so_far}; at this pace the cap comes on the {ordinal(reached.astimezone(UTC).day)}."


def budget_sentence(*, spent: int, budget: int | None, start: datetime, end: datetime) -> str:
    """Return how much of a month's budget is spent (nano-USD), and when there is a new one."""
    if budget is None:
        return f"{usd(spent)} is spent in {start:%B}; no budget bounds it."
    if spent >= budget:
        return f"All of {start:%B}'s budget of {usd(budget)} is spent; a new one begins on 1 {end:%B}."
    return f"{usd(spent)} of {start:%B}'s budget of {usd(budget)} is spent."


def _parts(tenant: Tenant, start: datetime, end: datetime) -> list[Part]:
    rows = (
        UsageDaily.objects.filter(tenant=tenant, day__gte=start.date(), day__lt=end.date())
        .values_list("day", "style_name")
        .annotate(Sum("requests"), Sum("prompt_tokens"), Sum("completion_tokens"), Sum("cost_nanousd"))
    )
    return [Part(*row) for row in rows]


def _by_style(parts: Iterable[Part]) -> list[dict[str, Any]]:
    styles: dict[str, list[Part]] = {}
    for part in parts:
        styles.setdefault(part.style_name, []).append(part)
    rows = [
        {
            "name": name,
            "requests": sum(part.requests for part in own),
            "prompt_tokens": sum(part.prompt_tokens for part in own),
            "completion_tokens": sum(part.completion_tokens for part in own),
            "cost": usd(sum(part.cost_nanousd for part in own)),
        }
        for name, own in styles.items()
    ]
    return sorted(rows, key=lambda row: (-row["prompt_tokens"] - row["completion_tokens"], row["name"]))


def _days(parts: Iterable[Part], start: date, end: date) -> list[dict[str, Any]]:
    tokens = dict.fromkeys((start + timedelta(days=number) for number in range((end - start).days)), 0)
    for part in parts:
        tokens[part.day] += part.tokens
    highest = max(tokens.values()) or 1
    return [
        {"day": day, "tokens": count, "height_percent": round(100 * count / highest, 1)}
        for day, count in tokens.items()
    ]


def _latest(tenant: Tenant, start: datetime, end: datetime) -> list[dict[str, Any]]:
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
        for event in events.order_by("-admitted_at")[:LATEST]
    ]
