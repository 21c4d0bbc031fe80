"""Owners change the plan: a higher fee begins at once, by the day; a lower one with the next month.

Here are also the words: what plans allow, side by side, and what will be refused under one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.subscriptions import cancel_scheduled, record_plan_change, scheduled_change, subscribe_tenant
from accounts.subscriptions import require_for_owners as require_free_plan
from adapters.public import Holdings, count_holdings
from billing.models import Payment
from core import locks, months
from core.errors import Conflict, NotFound
from core.money import usd
from core.sizes import GIB
from metering import plans
from metering.models import Invoice, PlanVersion, Subscription
from metering.plan_limits import PLAN_LIMITS
from metering.plans import MonthTerms
from metering.quota_sync import snapshot
from metering.unpaid import find_other_unpaid, has_paid_invoice
from tenants.access import Access
from tenants.models import Tenant
from tenants.roles import Permission

TIME_TO_PAY = timedelta(days=14)  # after which an unpaid invoice keeps a workspace from dearer plans


class UnknownPlan(NotFound):
    """No such plan: "{code}". Choose one that is listed."""

    names_support = True


class SamePlan(Conflict):
    """The workspace is already on {plan}."""


class UnpaidInvoice(Conflict):
    """{invoice} is unpaid. Pay it under "Invoices" before you switch to {plan}."""

    for_programs = "{invoice} is unpaid. Pay it (`invoices.pay`) before you switch to {plan}."
    names_support = True


class PaymentNeeded(Conflict):
    """{plan} invoices usage at the end of the month. First buy credits once, so that we know how you pay."""

    for_programs = "{plan} invoices usage at the end of the month. First buy credits once (`billing.top_up`)."
    names_support = True


class OtherWorkspaceUnpaid(Conflict):
    """Another workspace of your owner has used a plan that invoices usage, and hasn't paid its first invoice
    yet. Pay that one first, once it's issued."""

    names_support = True


class AlreadyScheduled(Conflict):
    """The change to {plan} on {day} is already scheduled."""


class NothingScheduled(Conflict):
    """No plan change is scheduled."""


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
    `distrust` says why this workspace can't have a plan that invoices usage yet.
    """

    version: PlanVersion
    takes_effect_at: datetime
    is_at_once: bool
    terms: MonthTerms
    refusals: list[str]
    unpaid: Invoice | None
    distrust: Conflict | None


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
            distrust=_find_distrust(tenant, current, version),
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


def _find_distrust(tenant: Tenant, current: PlanVersion, chosen: PlanVersion) -> Conflict | None:
    """Return why a workspace can't have usage on invoice: nobody knows that it, or its owner, pays."""
    if not chosen.overage_allowed or current.overage_allowed or tenant.unpaid_cap_nanousd is not None:
        return None
    if has_paid_invoice(tenant):
        return None
    if not Payment.objects.filter(tenant=tenant, state=Payment.State.SUCCEEDED).exists():
        return PaymentNeeded(plan=chosen.plan.name)
    return OtherWorkspaceUnpaid() if find_other_unpaid(tenant) else None


@transaction.atomic
def change_plan(code: str, *, by: Access, now: datetime | None = None) -> tuple[PlanVersion, Subscription]:
    """Subscribe a workspace to a plan's newest version: at once, or from the next month on if it is cheaper.

    Return the plan version before and the new subscription. What was scheduled before is forgotten. Only
    plans offered to everybody can be chosen.

    Raises RoleNotAllowed, UnknownPlan, SamePlan and AlreadyScheduled; UnpaidInvoice for a dearer plan while
    an older invoice is unpaid; PaymentNeeded and OtherWorkspaceUnpaid for one that invoices usage;
    OwnsOtherFreeWorkspace for the free one where an owner has it for another workspace.
    """
    by.require_permission(Permission.MANAGE_BILLING)
    now = now or timezone.now()
    tenant = by.tenant
    try:
        chosen = plans.newest_plan_version(code)
    except PlanVersion.DoesNotExist as error:
        raise UnknownPlan(code=code) from error
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    if chosen.overage_allowed:
        locks.one_at_a_time("first plan on invoice")  # two workspaces of a person would both pass
    current = plans.plan_version_at(tenant, now)
    scheduled = scheduled_change(tenant, now)
    _require_other_plan(current, chosen, scheduled)
    unpaid = find_unpaid(tenant, now)
    if unpaid and unpaid.is_blocking and _is_dearer(current, chosen):
        raise UnpaidInvoice(invoice=unpaid.invoice, plan=chosen.plan.name)
    distrust = _find_distrust(tenant, current, chosen)
    if distrust:
        raise distrust
    if chosen.plan_id == plans.FREE:
        require_free_plan(tenant)
    if scheduled:
        cancel_scheduled(scheduled)
    starts_at = now if _is_at_once(current, chosen) else _next_month(now)
    subscription = subscribe_tenant(tenant, chosen, at=starts_at)
    after = {"plan": str(chosen), "takes_effect_at": starts_at.isoformat()}
    by.audit("plan.changed", subscription, before={"plan": str(current)}, after=after)
    record_plan_change(tenant, current, chosen, starts_at)
    return current, subscription


def _require_other_plan(current: PlanVersion, chosen: PlanVersion, scheduled: Subscription | None) -> None:
    """Raise SamePlan, UnknownPlan or AlreadyScheduled for a plan that can't be chosen now."""
    if chosen.pk == current.pk:
        raise SamePlan(plan=chosen.plan.name)
    if not chosen.plan.is_offered:
        raise UnknownPlan(code=chosen.plan_id)
    if scheduled and scheduled.plan_version_id == chosen.pk:
        raise AlreadyScheduled(plan=chosen.plan.name, day=_day(scheduled.starts_at))


@transaction.atomic
def keep_plan(*, by: Access, now: datetime | None = None) -> PlanVersion:
    """Forget the change that is scheduled; return the plan that stays.

    Raises RoleNotAllowed and NothingScheduled.
    """
    by.require_permission(Permission.MANAGE_BILLING)
    now = now or timezone.now()
    tenant = by.tenant
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    scheduled = scheduled_change(tenant, now)
    if scheduled is None:
        raise NothingScheduled
    cancel_scheduled(scheduled)
    snapshot.mark_changed(tenant.pk)
    current = plans.plan_version_at(tenant, now)
    by.audit("plan.kept", tenant, after={"plan": str(current)})
    record_plan_change(tenant, scheduled.plan_version, current, now)
    return current


def _is_at_once(current: PlanVersion, chosen: PlanVersion) -> bool:
    return chosen.monthly_fee_nanousd >= current.monthly_fee_nanousd


def _is_dearer(current: PlanVersion, chosen: PlanVersion) -> bool:
    return chosen.monthly_fee_nanousd > current.monthly_fee_nanousd


def _next_month(now: datetime) -> datetime:
    return months.bounds(months.period_of(now))[1]


def _day(moment: datetime) -> str:
    return date_format(moment, gettext("j F"))


type Show = Callable[[int], str]


def _gigabytes(count: int) -> str:
    gigabytes = round(count / GIB, 1)
    digits = 0 if gigabytes == int(gigabytes) else 1
    return f"{number_format(gigabytes, digits, force_grouping=True)} GB"


SHOW: dict[str, Show] = {limit.name: _gigabytes if limit.is_bytes else intcomma for limit in PLAN_LIMITS}
# What a plan refuses where a workspace holds more than it includes.
REFUSALS = {
    "private_styles": _(
        "You have {held} private styles, and {plan} includes {most}. They keep working, but you "
        "can't add new ones until you have fewer."
    ),
    "stored_versions": _(
        "You have {held} stored versions, and {plan} includes {most}. None are deleted, but you "
        "can't upload until you have fewer."
    ),
    "stored_bytes": _(
        "You use {held} of storage, and {plan} includes {most}. Nothing is deleted, but you "
        "can't upload until you use less."
    ),
}


def compare_plans(versions: list[PlanVersion]) -> list[tuple[str, list[str]]]:
    """Return what plans cost and allow: a line each, with a value for each plan in their order."""
    lines = [(gettext("Fee"), [capfirst(fee_text(version)) for version in versions])]
    for limit in PLAN_LIMITS:
        if limit.label:
            shown = [SHOW[limit.name](getattr(version, limit.name)) for version in versions]
            lines.append((capfirst(str(limit.label)), shown))
    lines.append((gettext("Extra tokens"), [overage_text(version) for version in versions]))
    return lines


def overage_text(version: PlanVersion) -> str:
    """Return what pays for tokens beyond those that a plan includes."""
    if version.monthly_tokens <= version.included_tokens:
        return gettext("not available")
    if version.overage_allowed:
        return gettext("paid from credits, then invoiced")
    return gettext("paid from credits")


def describe_refusals(version: PlanVersion, held: Holdings) -> list[str]:
    """Return what a plan will refuse of what a workspace holds: a sentence each, none if all of it fits."""
    refusals = []
    for field, sentence in REFUSALS.items():
        show = SHOW[field]
        holds, most = getattr(held, field), getattr(version, field)
        if holds > most:
            facts = {"held": show(holds), "plan": version.plan.name, "most": show(most)}
            refusals.append(str(sentence).format(**facts))
    return refusals


def fee_text(version: PlanVersion) -> str:
    """Return what a plan costs: `$12.00 a month`, `no fee`."""
    fee = version.monthly_fee_nanousd
    return gettext("{amount} per month").format(amount=usd(fee)) if fee else gettext("no fee")
