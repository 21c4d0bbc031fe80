"""What a tenant may use at a moment, at which prices, and what a month's plans come to by day.

Each UTC day belongs to the dearest plan that was in force within it. A plan's fee is shared by its days, and
so are its included tokens (decision 50). That part is pure arithmetic over the plan versions of a workspace.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from uuid import UUID

from django.db.models import Min, Q, QuerySet
from django.utils import timezone

from core import months
from core.money import NANO
from metering import price_book
from metering.models import PlanVersion, Subscription, TokenPrices
from tenants.models import Tenant

CENT = NANO // 100


@dataclass(frozen=True)
class Stay:
    """A plan version in [starts_at, ends_at); None: it goes on."""

    version: PlanVersion
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True)
class FeeShare:
    """The fee of one plan version for its days of a month."""

    version: PlanVersion
    days: int
    month_days: int

    @property
    def amount_nanousd(self) -> int:
        """The whole fee of a whole month, else its share, rounded down to whole cents.

        Down, so that the shares of a month are never more than its highest fee.
        """
        fee = self.version.monthly_fee_nanousd
        if self.days == self.month_days:
            return fee
        return fee * self.days // self.month_days // CENT * CENT


@dataclass(frozen=True)
class MonthTerms:
    """What a month's plans come to: fees in order of time, and the included tokens.

    `dearest` is the plan version with the highest fee; `days` says which version each day belongs to.
    """

    dearest: PlanVersion
    days: Sequence[PlanVersion]
    included_tokens: int

    @property
    def fees(self) -> list[FeeShare]:
        """The fee of each plan version that has days, in order of time."""
        versions = {version.pk: version for version in self.days}
        counts = dict.fromkeys(versions, 0)
        for version in self.days:
            counts[version.pk] += 1
        return [FeeShare(versions[key], counts[key], len(self.days)) for key in versions]

    @property
    def fee_nanousd(self) -> int:
        """The sum of the fees, as the invoice asks for it."""
        return sum(share.amount_nanousd for share in self.fees)


def month_terms(
    stays: Iterable[Stay], find_free: Callable[[], PlanVersion], start: datetime, end: datetime
) -> MonthTerms:
    """Return what plan versions come to in the month [start, end).

    Days without one, as before the workspace was founded, have no fee and include what its version without a
    fee does, else the free plan.

    The included tokens are the mean of what each day's plan includes in a month, rounded down. A day counts
    at least as many as the days before it, so a change of plan makes no usage dearer that came before it.
    """
    by_time = sorted(stays, key=lambda stay: stay.starts_at)
    free = next((stay.version for stay in by_time if not stay.version.monthly_fee_nanousd), None)
    days: list[PlanVersion] = []
    included_sum = included = 0
    day = start
    while day < end:
        until = day + timedelta(days=1)
        of_day = [stay.version for stay in by_time if _overlaps(stay, day, until)] or [free or find_free()]
        days.append(_dearest(of_day))
        included = max(included, *(version.included_tokens for version in of_day))
        included_sum += included
        day = until
    within = [stay.version for stay in by_time if _overlaps(stay, start, end)]
    return MonthTerms(_dearest(within or days), days, included_sum // len(days))


def _dearest(versions: Sequence[PlanVersion]) -> PlanVersion:
    """Return the version with the highest fee, of several the last one."""
    return max(reversed(versions), key=lambda version: version.monthly_fee_nanousd)


def _overlaps(stay: Stay, start: datetime, end: datetime) -> bool:
    return stay.starts_at < end and (stay.ends_at is None or stay.ends_at > start)


FREE = "free"
STUDIO = "studio"


@dataclass(frozen=True)
class TenantLimits:
    """One tenant's limits and prices (nano-USD a token) at a moment.

    `monthly_nanousd` is the smaller of the plan's cap and the tenant's own, None without either; `weight` is
    the plan's share of an engine that is full. `base_prices` are those of the base model, if it has its own.
    """

    requests_per_minute: int
    tokens_per_minute: int
    parallel_requests: int
    max_output_tokens: int
    monthly_tokens: int
    monthly_nanousd: int | None
    prices: TokenPrices
    base_prices: TokenPrices | None
    sequences_per_request: int
    api_requests_per_minute: int
    private_styles: int
    stored_versions: int
    stored_bytes: int
    open_uploads: int
    parallel_trainings: int
    monthly_trainings: int
    training_words: int
    drafts: int
    weight: int
    plan: str


def newest_plan_version(code: str) -> PlanVersion:
    """Return the version of a plan that new subscriptions get. Raises PlanVersion.DoesNotExist."""
    # A version may be announced: nobody gets it before its day.
    begun = PlanVersion.objects.filter(plan=code, effective_from__lte=timezone.now())
    return begun.select_related("plan").latest("number")


def limits_of(tenant: Tenant, at: datetime, version: PlanVersion | None = None) -> TenantLimits:
    """Return a tenant's limits at a moment. A tenant without a subscription is on the free plan.

    Who knows its plan version at that moment gives it, and saves a query. Raises Price.DoesNotExist when no
    price book is in force yet at that moment.
    """
    version = version or plan_version_at(tenant, at)
    price, base_price = price_book.find_prices(at)
    return TenantLimits(
        requests_per_minute=version.requests_per_minute,
        tokens_per_minute=version.tokens_per_minute,
        parallel_requests=version.parallel_requests,
        max_output_tokens=version.max_output_tokens,
        monthly_tokens=version.monthly_tokens,
        monthly_nanousd=budget_of(tenant, version),
        prices=price.amounts,
        base_prices=base_price.amounts if base_price else None,
        sequences_per_request=version.sequences_per_request,
        api_requests_per_minute=version.api_requests_per_minute,
        private_styles=version.private_styles,
        stored_versions=version.stored_versions,
        stored_bytes=version.stored_bytes,
        open_uploads=version.open_uploads,
        parallel_trainings=version.parallel_trainings,
        monthly_trainings=version.monthly_trainings,
        training_words=version.training_words,
        drafts=version.drafts,
        weight=version.weight,
        plan=version.plan_id,
    )


def budget_of(tenant: Tenant, version: PlanVersion) -> int | None:
    """Return the smaller of the plan's cap of spend a month and the tenant's own; None without either."""
    caps = [cap for cap in (version.monthly_nanousd, tenant.monthly_nanousd) if cap is not None]
    return min(caps, default=None)


def api_requests_per_minute(tenant: Tenant, at: datetime) -> int:
    """Return how often one key may call the management API; one query, where `limits_of` needs three."""
    return plan_version_at(tenant, at).api_requests_per_minute


def plan_version_at(tenant: Tenant, at: datetime) -> PlanVersion:
    """Return the plan version that a tenant was on at a moment: the free plan's newest without another."""
    subscriptions = Subscription.objects.filter(tenant=tenant).at(at).select_related("plan_version__plan")
    subscription = subscriptions.order_by("starts_at").last()
    return subscription.plan_version if subscription else newest_plan_version(FREE)


def terms_of(tenant: Tenant, period: str) -> MonthTerms:
    """Return the fees and included tokens of a workspace's month, as on its invoice; one query or two."""
    return month_terms(_stays(tenant, period), free_finder(), *months.bounds(period))


def included_tokens(tenant_ids: Collection[UUID], start: datetime, end: datetime) -> dict[UUID, int]:
    """Return tenant → the tokens that the month [start, end) includes; two queries for any number."""
    find_free = free_finder()
    stays = stays_by_tenant(tenant_ids, start, end)
    return {one: month_terms(stays.get(one, ()), find_free, start, end).included_tokens for one in tenant_ids}


def stays_by_tenant(
    tenant_ids: Collection[UUID], start: datetime, end: datetime
) -> Mapping[UUID, Sequence[Stay]]:
    """Return tenant → the plans on which it was within [start, end), if any; one query for any number."""
    within = Subscription.objects.within(start, end).filter(tenant__in=tenant_ids)
    found: dict[UUID, list[Stay]] = {}
    for subscription in within.select_related("plan_version__plan"):
        stay = Stay(subscription.plan_version, subscription.starts_at, subscription.ends_at)
        found.setdefault(subscription.tenant_id, []).append(stay)
    return found


def terms_with(tenant: Tenant, version: PlanVersion, at: datetime) -> MonthTerms:
    """Return the fees and included tokens of the month of a moment, as if a plan version began at it."""
    period = months.period_of(at)
    stays = [Stay(version, at, None)]
    for stay in _stays(tenant, period):
        ends_at = at if stay.ends_at is None else min(stay.ends_at, at)
        stays.append(replace(stay, ends_at=ends_at))
    return month_terms(stays, free_finder(), *months.bounds(period))


def free_finder() -> Callable[[], PlanVersion]:
    """Return what finds the free plan's newest version, with one query, and none unless it is called."""
    return cache(partial(newest_plan_version, FREE))


def month_versions(tenant: Tenant, at: datetime) -> tuple[PlanVersion, MonthTerms]:
    """Return the plan version at a moment, and what the month that holds it comes to; one query or two."""
    period = months.period_of(at)
    find_free = free_finder()
    stays = _stays(tenant, period)
    terms = month_terms(stays, find_free, *months.bounds(period))
    return version_at(stays, find_free, at), terms


def version_at(stays: Sequence[Stay], find_free: Callable[[], PlanVersion], at: datetime) -> PlanVersion:
    """Return the version of the newest of some stays that holds a moment, else the free plan's."""
    in_force = [
        stay for stay in stays if stay.starts_at <= at and (stay.ends_at is None or stay.ends_at > at)
    ]
    newest = max(in_force, key=lambda stay: stay.starts_at, default=None)
    return newest.version if newest else find_free()


def _stays(tenant: Tenant, period: str) -> Sequence[Stay]:
    return stays_by_tenant([tenant.pk], *months.bounds(period)).get(tenant.pk, ())


def offered_plans() -> list[PlanVersion]:
    """Return the version of each plan offered to everybody that new subscriptions get, the cheapest first."""
    begun = PlanVersion.objects.filter(plan__is_offered=True, effective_from__lte=timezone.now())
    newest = begun.order_by("plan", "-number").distinct("plan").select_related("plan")
    return sorted(newest, key=lambda version: (version.monthly_fee_nanousd, version.monthly_tokens))


def announced_plans() -> list[PlanVersion]:
    """Return the versions that are to come of plans offered to everybody, the next one first."""
    later = PlanVersion.objects.filter(plan__is_offered=True, effective_from__gt=timezone.now())
    later = later.select_related("plan")
    return list(later.order_by("effective_from", "monthly_fee_nanousd"))


def next_change(tenant: Tenant, after: datetime) -> datetime | None:
    """Return the next moment after which known limits or prices change by themselves, or None."""
    return _earliest_change(tenant.subscriptions.all(), after)


def next_change_of_any(after: datetime) -> datetime | None:
    """Return the same for whichever tenant it comes first."""
    return _earliest_change(Subscription.objects.all(), after)


def _earliest_change(subscriptions: QuerySet[Subscription], after: datetime) -> datetime | None:
    changes = subscriptions.aggregate(
        starts_at=Min("starts_at", filter=Q(starts_at__gt=after)),
        ends_at=Min("ends_at", filter=Q(ends_at__gt=after)),
    )
    moments = [price_book.next_change(after), *changes.values()]
    return min((moment for moment in moments if moment is not None), default=None)
