"""Owners change the plan: a dearer one holds at once, a cheaper one from the next month on."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from foundation import months
from foundation.errors import Conflict, NotFound
from tenants.accounts.workspaces import subscribe_tenant
from tenants.billing import plans
from tenants.billing.holdings import holdings_of
from tenants.billing.plan_words import Difference, compare_plans, describe_refusals
from tenants.events.outbox import record_event
from tenants.models import EventType, Invoice, PlanVersion, Subscription, Tenant
from tenants.quota_sync import snapshot

TIME_TO_PAY = timedelta(days=14)  # after which an unpaid invoice keeps a workspace from dearer plans


class UnknownPlan(NotFound):
    """There is no plan "{code}" to choose. Other plans are by arrangement: ask us."""

    code = "unknown_plan"


class SamePlan(Conflict):
    """The workspace is on {plan} already."""

    code = "same_plan"


class UnpaidInvoice(Conflict):
    """{invoice} is unpaid. Pay it under "Invoices"; then you can change to {plan}."""

    code = "unpaid_invoice"
    for_programs = "{invoice} is unpaid. Pay it (`invoices.pay`); then you can change to {plan}."


class AlreadyScheduled(Conflict):
    """{plan} begins on {day} already."""

    code = "already_scheduled"


class NothingScheduled(Conflict):
    """No change of the plan is scheduled."""

    code = "nothing_scheduled"


@dataclass(frozen=True)
class Unpaid:
    """An invoice that keeps a workspace from dearer plans, from a moment on."""

    invoice: Invoice
    blocks_from: datetime
    is_blocking: bool


@dataclass(frozen=True)
class Offer:
    """A plan that a workspace can change to, and what that means for it.

    `unpaid` is the invoice that has to be paid before.
    """

    version: PlanVersion
    takes_effect_at: datetime
    is_at_once: bool
    differences: list[Difference]
    refusals: list[str]
    unpaid: Invoice | None


def list_offers(tenant: Tenant, now: datetime) -> list[Offer]:
    """Return the plans offered to everybody that a workspace can change to, the cheapest first."""
    current = plans.plan_version_at(tenant, now)
    held = holdings_of(tenant)
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
            differences=compare_plans(current, version),
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


def scheduled_change(tenant: Tenant, now: datetime) -> Subscription | None:
    """Return the subscription that begins later, or None."""
    later = Subscription.objects.filter(tenant=tenant, starts_at__gt=now)
    return later.select_related("plan_version__plan").order_by("starts_at").first()


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
            _forget(scheduled)
        starts_at = now if _is_at_once(current, chosen) else _next_month(now)
        subscription = subscribe_tenant(tenant, chosen, at=starts_at)
        _record(tenant, current, chosen, starts_at)
    return subscription


def _require_other_plan(current: PlanVersion, chosen: PlanVersion, scheduled: Subscription | None) -> None:
    """Raise SamePlan, UnknownPlan or AlreadyScheduled for a plan that can't be chosen now."""
    if chosen.pk == current.pk:
        raise SamePlan(plan=chosen.plan.name)
    if not chosen.plan.is_offered:
        raise UnknownPlan(code=chosen.plan_id)
    if scheduled and scheduled.plan_version_id == chosen.pk:
        raise AlreadyScheduled(plan=chosen.plan.name, day=_day(scheduled.starts_at))


def assign_plan(tenant: Tenant, version: PlanVersion, *, now: datetime | None = None) -> Subscription:
    """Subscribe a workspace at once to any plan version, as operators may; return the subscription.

    What was scheduled before is forgotten.
    """
    now = now or timezone.now()
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        current = plans.plan_version_at(tenant, now)
        scheduled = scheduled_change(tenant, now)
        if scheduled:
            _forget(scheduled)
        subscription = subscribe_tenant(tenant, version, at=now)
        _record(tenant, current, version, now)
    return subscription


def keep_plan(tenant: Tenant, *, now: datetime | None = None) -> PlanVersion:
    """Forget the change that is scheduled; return the plan that stays. Raises NothingScheduled."""
    now = now or timezone.now()
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        scheduled = scheduled_change(tenant, now)
        if scheduled is None:
            raise NothingScheduled
        _forget(scheduled)
        snapshot.mark_changed(tenant.pk)
        current = plans.plan_version_at(tenant, now)
        _record(tenant, scheduled.plan_version, current, now)
    return current


def _is_at_once(current: PlanVersion, chosen: PlanVersion) -> bool:
    return chosen.monthly_fee_nanousd >= current.monthly_fee_nanousd


def _is_dearer(current: PlanVersion, chosen: PlanVersion) -> bool:
    return chosen.monthly_fee_nanousd > current.monthly_fee_nanousd


def _next_month(now: datetime) -> datetime:
    return months.bounds(months.period_of(now))[1]


def _day(moment: datetime) -> str:
    return date_format(moment, gettext("j F"))


def _forget(scheduled: Subscription) -> None:
    """Delete a subscription that has not begun, and let the one before it go on."""
    Subscription.objects.filter(pk=scheduled.pk).delete()
    before = Subscription.objects.filter(tenant=scheduled.tenant_id, ends_at=scheduled.starts_at)
    before.update(ends_at=None)


def _record(tenant: Tenant, before: PlanVersion, after: PlanVersion, starts_at: datetime) -> None:
    record_event(
        tenant.pk,
        EventType.PLAN_CHANGED,
        tenant,
        plan=after.plan_id,
        previous_plan=before.plan_id,
        takes_effect_at=starts_at,
    )
