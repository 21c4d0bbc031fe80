"""Tell a workspace when 50, 80 and 100 % of a month's tokens, budget or credits are used: once each.

Tokens are those that the plan includes. Where it has further ones, 80 and 100 % of its cap count, too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, Sum

from core import months
from events.models import EventType, ReachedThreshold
from events.outbox import record_event
from metering import credits, trainings
from metering.allowance import Allowance, month_limits
from metering.models import CreditGrant, UsageDaily
from tenants.models import Tenant

PERCENTS = (50, 80, 100)
PERCENTS_OF_CAP = (80, 100)

Measure = ReachedThreshold.Measure


@dataclass(frozen=True)
class Crossing:
    """A share of a limit that a workspace has reached in a month. Tokens, or nano-USD."""

    tenant_id: UUID
    measure: str
    percent: int
    used: int
    limit: int
    facts: dict[str, Any] = field(default_factory=dict)


def check_thresholds(now: datetime) -> int:
    """Record an event for each threshold that was reached since the last call; return how many.

    A few queries for all workspaces together. Safe to repeat, and safe from several processes at once.
    """
    period = months.period_of(now)
    # Read at once: nearly all crossings are recorded already, and each would be a transaction.
    known = set(ReachedThreshold.objects.filter(period=period).values_list("tenant_id", "measure", "percent"))
    recorded = 0
    for crossing in _find_crossings(period, now):
        if (crossing.tenant_id, crossing.measure, crossing.percent) not in known:
            recorded += _record(crossing, period)
    return recorded


def _find_crossings(period: str, now: datetime) -> list[Crossing]:
    """Return every share that is reached in a month, the lower ones of a workspace first."""
    usage = _usage_by_tenant(period)
    trained = trainings.charged_by_tenant(period)
    for tenant_id in trained:
        usage.setdefault(tenant_id, (0, 0))
    limits = month_limits(usage, now)
    crossings: list[Crossing] = []
    for tenant_id, (tokens, nanousd) in usage.items():
        allowance = limits[tenant_id].allowance
        crossings += _token_crossings(tenant_id, tokens, allowance)
        spent_nanousd = nanousd + trained.get(tenant_id, 0)
        crossings += _crossings(tenant_id, Measure.BUDGET, spent_nanousd, limits[tenant_id].budget_nanousd)
    return crossings + _credit_crossings(usage, period)


def _token_crossings(tenant_id: UUID, tokens: int, allowance: Allowance) -> list[Crossing]:
    """Return the shares of the included tokens that are used, and of the cap where there are further ones."""
    facts = {"max_tokens": allowance.max_tokens, "overage": allowance.overage.value}
    crossings = _crossings(tenant_id, Measure.TOKENS, tokens, allowance.meter_tokens)
    if allowance.counts_included:
        of_cap = _crossings(tenant_id, Measure.CAP, tokens, allowance.max_tokens)
        crossings += [crossing for crossing in of_cap if crossing.percent in PERCENTS_OF_CAP]
    return [replace(crossing, facts=facts) for crossing in crossings]


def _credit_crossings(tenant_ids: Iterable[UUID], period: str) -> list[Crossing]:
    """Return the shares of credits that are burned, of the workspaces that have some for a month."""
    grants = CreditGrant.objects.filter(Q(last_period="") | Q(last_period__gte=period), tenant__in=tenant_ids)
    crossings: list[Crossing] = []
    for tenant in Tenant.objects.filter(pk__in=grants.values("tenant")):
        burned, could_burn = credits.month_credits(tenant, period)
        crossings += _crossings(tenant.pk, Measure.CREDITS, burned, could_burn)
    return crossings


def _usage_by_tenant(period: str) -> dict[UUID, tuple[int, int]]:
    """Return tenant → (tokens, nano-USD) of a month, from usage by day."""
    start, end = months.bounds(period)
    days = UsageDaily.objects.filter(day__gte=start.date(), day__lt=end.date())
    sums = days.values_list("tenant").annotate(
        tokens=Sum(F("prompt_tokens") + F("completion_tokens")), nanousd=Sum("cost_nanousd")
    )
    return {tenant_id: (tokens, nanousd) for tenant_id, tokens, nanousd in sums}


def _crossings(tenant_id: UUID, measure: str, used: int, limit: int | None) -> list[Crossing]:
    if not limit:
        return []
    reached = [percent for percent in PERCENTS if 100 * used >= percent * limit]
    return [Crossing(tenant_id, measure, percent, used, limit) for percent in reached]


def _record(crossing: Crossing, period: str) -> bool:
    """Record a crossing with its event; return False if another process was first."""
    unit = "tokens" if crossing.measure in (Measure.TOKENS, Measure.CAP) else "nanousd"
    with transaction.atomic():
        _, is_new = ReachedThreshold.objects.get_or_create(
            tenant_id=crossing.tenant_id, period=period, measure=crossing.measure, percent=crossing.percent
        )
        # The row and its event are one transaction: the mail is sent once, whichever process was first.
        if is_new:
            record_event(
                crossing.tenant_id,
                EventType.USAGE_THRESHOLD_REACHED,
                Tenant.objects.get(pk=crossing.tenant_id),
                period=period,
                measure=crossing.measure,
                percent=crossing.percent,
                **{f"used_{unit}": crossing.used, f"limit_{unit}": crossing.limit},
                **crossing.facts,
            )
    return is_new
