"""What a month's tokens count to: the included ones, then what pays for further ones, up to the cap."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from core import months
from metering import plans
from metering.models import PlanVersion
from metering.proration import MonthTerms, month_terms
from tenants.models import Tenant


class OveragePolicy(StrEnum):
    """What happens to tokens beyond those that a plan includes."""

    REFUSED = "refused"
    CREDITS = "credits"  # they pay, or the request is refused
    OVERAGE = "overage"  # credits pay first, the rest is owed


@dataclass(frozen=True)
class Allowance:
    """What a workspace may use in a month.

    The included tokens are those of the month's plans by day, as on its invoice. The cap is that of the plan
    on which it is now.
    """

    included_tokens: int
    max_tokens: int
    is_overage_allowed: bool

    @property
    def overage(self) -> OveragePolicy:
        """What happens to tokens beyond the included ones."""
        if self.included_tokens >= self.max_tokens:
            return OveragePolicy.REFUSED
        return OveragePolicy.OVERAGE if self.is_overage_allowed else OveragePolicy.CREDITS

    @property
    def meter_tokens(self) -> int:
        """What a meter of the month counts to: the included tokens, or the cap where they are all or none."""
        return min(self.included_tokens, self.max_tokens) or self.max_tokens

    @property
    def counts_included(self) -> bool:
        """Whether the meter ends before the cap."""
        return self.meter_tokens < self.max_tokens


@dataclass(frozen=True)
class MonthLimits:
    """What a workspace may use in a month, and what it may spend (None: no budget)."""

    allowance: Allowance
    budget_nanousd: int | None


def allowance_of(tenant: Tenant, at: datetime) -> Allowance:
    """Return what a workspace may use in the month that holds a moment."""
    present, terms = plans.month_versions(tenant, at)
    return make_allowance(present, terms)


def make_allowance(present: PlanVersion, terms: MonthTerms) -> Allowance:
    """Return the same where the plan version and the month's terms are known."""
    return Allowance(terms.included_tokens, present.monthly_tokens, present.overage_allowed)


def month_limits(tenant_ids: Iterable[UUID], at: datetime) -> dict[UUID, MonthLimits]:
    """Return tenant → what it may use in the month that holds a moment; two queries for any number."""
    tenant_ids = list(tenant_ids)
    start, end = months.bounds(months.period_of(at))
    find_free = plans.free_finder()
    stays = plans.stays_by_tenant(tenant_ids, start, end)
    limits = {}
    budgets = Tenant.objects.filter(pk__in=tenant_ids).values_list("pk", "monthly_nanousd")
    for tenant_id, own_budget in budgets:
        version = plans.version_at(stays.get(tenant_id, ()), find_free, at)
        amounts = [amount for amount in (version.monthly_nanousd, own_budget) if amount is not None]
        terms = month_terms(stays.get(tenant_id, ()), find_free, start, end)
        limits[tenant_id] = MonthLimits(make_allowance(version, terms), min(amounts, default=None))
    return limits
