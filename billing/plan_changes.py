"""Owners change the plan: a higher fee begins at once, by the day; a lower one with the next month.

A change that began at once can be undone for an hour, while nothing was used under it (decision 50).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from adapters.public import count_holdings
from billing.plan_text import describe_refusals
from core import months
from core.errors import Conflict, NotFound
from tenants.metering import plans, trainings
from tenants.metering.ledger import usage_of
from tenants.metering.proration import MonthTerms
from tenants.models import Invoice, PlanVersion, Subscription, Tenant, UsageEvent
from tenants.public import cancel_scheduled, record_plan_change, scheduled_change, snapshot, subscribe_tenant

TIME_TO_PAY = timedelta(days=14)  # after which an unpaid invoice keeps a workspace from dearer plans
UNDO_FOR = timedelta(hours=1)


class UnknownPlan(NotFound):
    """No such plan: "{code}". The page of plans lists them all."""

    code = "unknown_plan"
    names_support = True


class SamePlan(Conflict):
    """The workspace is already on {plan}."""

    code = "same_plan"


class UnpaidInvoice(Conflict):
    """{invoice} is unpaid. Pay it under "Invoices" before you switch to {plan}."""

    code = "unpaid_invoice"
    for_programs = "{invoice} is unpaid. Pay it (`invoices.pay`) before you switch to {plan}."
    names_support = True


class AlreadyScheduled(Conflict):
    """The change to {plan} on {day} is already scheduled."""

    code = "already_scheduled"


class NothingScheduled(Conflict):
    """No plan change is scheduled."""

    code = "nothing_scheduled"


class NothingToUndo(Conflict):
    """There is no plan change to undo. You can undo a change within an hour after it takes effect."""

    code = "nothing_to_undo"


class PlanUsed(Conflict):
    """You've used {plan} since the change, so it can't be undone. You can switch to {before} on {day}."""

    code = "plan_used"


@dataclass(frozen=True)
class Undo:
    """A change that can be undone until a moment, unless the new plan was used by then."""

    subscription: Subscription
    before: Subscription
    until: datetime
    is_used: bool


@dataclass(frozen=True)
class Unpaid:
    """An invoice that keeps a workspace from dearer plans, from a moment on."""

    invoice: Invoice
    blocks_from: datetime
    is_blocking: bool


@dataclass(frozen=True)
class Offer:
    """A plan that a workspace can change to, and what that means for it.

    `terms` are those of this month after the change; `unpaid` is the invoice that has to be paid before.
    """

    version: PlanVersion
    takes_effect_at: datetime
    is_at_once: bool
    terms: MonthTerms
    refusals: list[str]
    unpaid: Invoice | None


def list_offers(tenant: Tenant, now: datetime) -> list[Offer]:
    """Return the plans offered to everybody that a workspace can change to, the cheapest first."""
    current, present_terms = plans.month_versions(tenant, now)
    held = count_holdings(tenant)
    unpaid = find_unpaid(tenant, now)
    blocking = unpaid.invoice if unpaid and unpaid.is_blocking else None
    offers = []
    for version in plans.offered_plans():
        if version.pk == current.pk:
            continue
        is_at_once = _is_at_once(current, version)
        offer = Offer(
            version=version,
            takes_effect_at=now if is_at_once else _next_month(now),
            is_at_once=is_at_once,
            terms=plans.terms_with(tenant, version, now) if is_at_once else present_terms,
            refusals=describe_refusals(version, held),
            unpaid=blocking if _is_dearer(current, version) else None,
        )
        offers.append(offer)
    return offers


def find_unpaid(tenant: Tenant, now: datetime) -> Unpaid | None:
    """Return the oldest unpaid invoice, and from when on it keeps a workspace from dearer plans."""
    unpaid = Invoice.objects.filter(tenant=tenant, state=Invoice.State.FINALIZED, total_nanousd__gt=0)
    oldest = unpaid.order_by("finalized_at", "number").first()
    if oldest is None or oldest.finalized_at is None:
        return None
    blocks_from = oldest.finalized_at + TIME_TO_PAY
    return Unpaid(oldest, blocks_from, is_blocking=blocks_from <= now)


def choose_plan(tenant: Tenant, code: str, *, now: datetime | None = None) -> Subscription:
    """Subscribe a workspace to a plan's newest version: at once, or from the next month on if it is cheaper.

    What was scheduled before is forgotten. Only plans offered to everybody can be chosen. Raises UnknownPlan,
    SamePlan, AlreadyScheduled and, for a dearer plan while an older invoice is unpaid, UnpaidInvoice.
    """
    now = now or timezone.now()
    try:
        chosen = plans.newest_plan_version(code)
    except PlanVersion.DoesNotExist as error:
        raise UnknownPlan(code=code) from error
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        current = plans.plan_version_at(tenant, now)
        scheduled = scheduled_change(tenant, now)
        _require_other_plan(current, chosen, scheduled)
        unpaid = find_unpaid(tenant, now)
        if unpaid and unpaid.is_blocking and _is_dearer(current, chosen):
            raise UnpaidInvoice(invoice=unpaid.invoice, plan=chosen.plan.name)
        if scheduled:
            cancel_scheduled(scheduled)
        starts_at = now if _is_at_once(current, chosen) else _next_month(now)
        subscription = subscribe_tenant(tenant, chosen, at=starts_at)
        record_plan_change(tenant, current, chosen, starts_at)
    return subscription


def _require_other_plan(current: PlanVersion, chosen: PlanVersion, scheduled: Subscription | None) -> None:
    """Raise SamePlan, UnknownPlan or AlreadyScheduled for a plan that can't be chosen now."""
    if chosen.pk == current.pk:
        raise SamePlan(plan=chosen.plan.name)
    if not chosen.plan.is_offered:
        raise UnknownPlan(code=chosen.plan_id)
    if scheduled and scheduled.plan_version_id == chosen.pk:
        raise AlreadyScheduled(plan=chosen.plan.name, day=_day(scheduled.starts_at))


def keep_plan(tenant: Tenant, *, now: datetime | None = None) -> PlanVersion:
    """Forget the change that is scheduled; return the plan that stays. Raises NothingScheduled."""
    now = now or timezone.now()
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        scheduled = scheduled_change(tenant, now)
        if scheduled is None:
            raise NothingScheduled
        cancel_scheduled(scheduled)
        snapshot.mark_changed(tenant.pk)
        current = plans.plan_version_at(tenant, now)
        record_plan_change(tenant, scheduled.plan_version, current, now)
    return current


def find_undo(tenant: Tenant, now: datetime) -> Undo | None:
    """Return the change of the last hour that can be undone, or None.

    Operators' changes count too; what was moved to a lower fee does not.
    """
    current = Subscription.objects.filter(tenant=tenant, ends_at=None, starts_at__lte=now)
    subscription = current.select_related("plan_version__plan").first()
    if subscription is None or subscription.starts_at <= now - UNDO_FOR:
        return None
    earlier = Subscription.objects.filter(tenant=tenant, ends_at=subscription.starts_at)
    before = earlier.select_related("plan_version__plan").order_by("starts_at").last()
    if before is None or not _is_at_once(before.plan_version, subscription.plan_version):
        return None
    is_used = _is_used(tenant, before.plan_version, since=subscription.starts_at, now=now)
    return Undo(subscription, before, subscription.starts_at + UNDO_FOR, is_used)


def undo_change(tenant: Tenant, *, now: datetime | None = None) -> Undo:
    """Undo the last change as if it had never been: it leaves no fee. Raises NothingToUndo and PlanUsed."""
    now = now or timezone.now()
    # Valkey is asked before the lock: nobody may wait for it in a transaction that others wait for.
    undo = find_undo(tenant, now)
    if undo is None:
        raise NothingToUndo
    undone, before = undo.subscription.plan_version, undo.before.plan_version
    if undo.is_used:
        raise PlanUsed(plan=undone.plan.name, before=before.plan.name, day=_day(_next_month(now)))
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        if not Subscription.objects.filter(pk=undo.subscription.pk, ends_at=None).exists():
            raise NothingToUndo
        cancel_scheduled(undo.subscription)
        snapshot.mark_changed(tenant.pk)
        record_plan_change(tenant, undone, before, now)
    return undo


def _is_used(tenant: Tenant, before: PlanVersion, *, since: datetime, now: datetime) -> bool:
    """Return whether a workspace has used anything since a moment, or holds what the plan before refuses."""
    periods = {months.period_of(since), months.period_of(now)}
    asked = UsageEvent.objects.filter(tenant=tenant, period__in=periods, admitted_at__gte=since)
    if asked.exists() or describe_refusals(before, count_holdings(tenant)):
        return True
    if trainings.has_trained(tenant.pk, since):
        return True
    # What is open, or on its way into the ledger, may have begun under the new limits.
    return any(
        snapshot.has_unrecorded_usage(tenant.pk, period, usage_of(tenant.pk, period).tokens)
        for period in periods
    )


def _is_at_once(current: PlanVersion, chosen: PlanVersion) -> bool:
    return chosen.monthly_fee_nanousd >= current.monthly_fee_nanousd


def _is_dearer(current: PlanVersion, chosen: PlanVersion) -> bool:
    return chosen.monthly_fee_nanousd > current.monthly_fee_nanousd


def _next_month(now: datetime) -> datetime:
    return months.bounds(months.period_of(now))[1]


def _day(moment: datetime) -> str:
    return date_format(moment, gettext("j F"))
