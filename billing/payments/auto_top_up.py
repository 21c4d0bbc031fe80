"""Buy credits with the saved card when few are left: one top-up at a time, less often after a decline."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from billing.models import Payment, PaymentAccount
from billing.payments import payments
from billing.payments.providers import MAX_FAILURES, NoSavedCard, NotByProvider, PaymentFault
from core import locks, months
from core.errors import Conflict, DomainError, Invalid
from events.models import EventType
from events.outbox import record_event
from metering import credits
from metering.allowance import OveragePolicy, allowance_of
from metering.credits import credits_left
from metering.models import CreditGrant
from tenants.access import Access
from tenants.models import Tenant
from tenants.roles import Permission

logger = logging.getLogger(__name__)

# Bounds what a wrong threshold, or usage by a stolen key, can charge in a day.
MAX_TOP_UPS = 3  # of one workspace within TOP_UPS_WITHIN
TOP_UPS_WITHIN = timedelta(days=1)


class BadThreshold(Invalid):
    """Enter both amounts in whole cents: the threshold and the top-up amount."""

    code = "invalid_threshold"


class ThresholdAboveAmount(BadThreshold):
    """The top-up amount must be at least the threshold. Otherwise one top-up would trigger another."""

    code = "invalid_threshold"


class UsageIsInvoiced(Conflict):
    """Automatic top-ups are not available on this plan: it invoices usage beyond the included tokens."""


class NothingToPay(Conflict):
    """You don't need credits: all tokens are included in this plan."""

    code = "nothing_burns_credits"


@transaction.atomic
def set_auto_top_up(
    *, threshold_nanousd: int | None, amount_nanousd: int | None, by: Access
) -> PaymentAccount:
    """Switch automatic top-ups on, or off with two times None; what failed before is forgotten.

    Raises RoleNotAllowed, NotByProvider, NoSavedCard, UsageIsInvoiced, NothingToPay, BadThreshold and
    BadTopUp.
    """
    by.require_permission(Permission.MANAGE_BILLING)
    # One after the other: else the audit log would say of two changes that both had the same before.
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=by.tenant.pk)
    account = payments.account_of(tenant)
    before = values_of(account)
    if threshold_nanousd is not None or amount_nanousd is not None:
        if not payments.current_provider().takes_cards:
            raise NotByProvider
        if not account.payment_method_id:
            raise NoSavedCard
        _require_need(tenant, timezone.now())
        if not threshold_nanousd or not amount_nanousd or threshold_nanousd < 0:
            raise BadThreshold(field="threshold_nanousd")
        payments.require_top_up_amount(amount_nanousd)
        if threshold_nanousd > amount_nanousd:
            raise ThresholdAboveAmount(field="threshold_nanousd")
    values = {"threshold_nanousd": threshold_nanousd, "amount_nanousd": amount_nanousd}
    account, _ = PaymentAccount.objects.update_or_create(
        tenant=tenant, defaults={**values, "failures": 0, "retry_at": None}
    )
    by.audit("auto_top_up.edited", account, before=before, after=values_of(account))
    return account


def values_of(account: PaymentAccount) -> dict[str, int | None]:
    """Return the settings by the names of their fields."""
    return {
        "threshold_nanousd": account.threshold_nanousd,
        "amount_nanousd": account.amount_nanousd,
    }


def top_up_due(now: datetime) -> int:
    """Top up the workspaces that have fewer credits left than they want; return how many were begun.

    Safe to repeat, and safe from several processes at once.
    """
    if not payments.current_provider().takes_cards:
        return 0
    with locks.only_one("automatic top-ups") as is_ours:
        return _top_up_all(now) if is_ours else 0


def _top_up_all(now: datetime) -> int:
    begun = 0
    for account in _watched(now):
        try:
            begun += _top_up(account, now)
        except Exception:  # the others must not wait for it
            logger.exception("top_up_failed", extra={"tenant": account.tenant_id})
    return begun


def _watched(now: datetime) -> QuerySet[PaymentAccount]:
    watched = PaymentAccount.objects.filter(
        Q(retry_at=None) | Q(retry_at__lte=now),
        threshold_nanousd__isnull=False,
        failures__lt=MAX_FAILURES,
        tenant__suspended_at=None,
    )
    return watched.select_related("tenant")


def _top_up(account: PaymentAccount, now: datetime) -> bool:
    """Top a workspace up, if that is due; return whether it was."""
    payment = _begin(account, now)
    if payment is None:
        return False
    try:
        payments.charge(payment)
    except DomainError as error:
        # Whether it was charged is not known: the sweep asks again, under the same key.
        logger.warning("top_up_unanswered", extra={"payment": str(payment.pk), "error": error.code})
    return True


@transaction.atomic
def _begin(account: PaymentAccount, now: datetime) -> Payment | None:
    """Save a payment to be charged, if one is due; None otherwise.

    Under the account's lock everything is read anew. Since the account was listed, another run may have
    topped up, an owner changed the settings, or an operator suspended the workspace.
    """
    locked = _watched(now).select_for_update(no_key=True, of=("self",)).filter(pk=account.pk).first()
    if locked is None or not _is_due(locked, now):
        return None
    payment = Payment(
        tenant=locked.tenant,
        purpose=Payment.Purpose.AUTO_TOP_UP,
        amount_nanousd=locked.amount_nanousd or 0,
        provider=payments.current_provider().name,
    )
    recent = _recent(locked.tenant, now)
    if len(recent) < MAX_TOP_UPS:
        payment.save(force_insert=True)
        return payment
    _wait(locked, payment, until=recent[0].created_at + TOP_UPS_WITHIN)
    return None


def _is_due(account: PaymentAccount, now: datetime) -> bool:
    """Return whether fewer credits are left than the owner wants, and nothing is on its way yet."""
    own = Payment.objects.filter(tenant=account.tenant, purpose=Payment.Purpose.AUTO_TOP_UP)
    # One that is not answered yet may still succeed: a second one would pay twice.
    if own.filter(state=Payment.State.OPEN).exists():
        return False
    # With overage, running out of credits stops nobody.
    if allowance_of(account.tenant, now).overage != OveragePolicy.CREDITS:
        return False
    return credits_left(account.tenant, months.period_of(now)) < (account.threshold_nanousd or 0)


def _require_need(tenant: Tenant, now: datetime) -> None:
    """Raise UsageIsInvoiced or NothingToPay on a plan where running out of credits stops nobody."""
    match allowance_of(tenant, now).overage:
        case OveragePolicy.OVERAGE:
            raise UsageIsInvoiced
        case OveragePolicy.REFUSED:
            raise NothingToPay


def _recent(tenant: Tenant, now: datetime) -> list[Payment]:
    """Return the last automatic top-ups that count towards the ceiling, the oldest first."""
    own = Payment.objects.filter(tenant=tenant, purpose=Payment.Purpose.AUTO_TOP_UP)
    # Failed ones charged nothing; providers.py spaces them.
    counted = own.exclude(state=Payment.State.FAILED).filter(created_at__gt=now - TOP_UPS_WITHIN)
    return list(counted.order_by("-created_at")[:MAX_TOP_UPS])[::-1]


def _wait(account: PaymentAccount, payment: Payment, *, until: datetime) -> None:
    """Charge nothing before a time, and tell the owner once, by a failed payment and its mail."""
    account.retry_at = until
    account.save(update_fields=["retry_at"])
    payment.state = Payment.State.FAILED
    payment.failure = PaymentFault.TOO_MANY(count=MAX_TOP_UPS, time=f"{until:%H:%M}")
    payment.closed_at = timezone.now()
    payment.save(force_insert=True)
    record_event(payment.tenant_id, EventType.PAYMENT_FAILED, payment)


@dataclass(frozen=True)
class CreditLeft:
    """A grant that still pays for usage, and how much."""

    grant: CreditGrant
    nanousd: int


def list_credits_left(tenant: Tenant) -> list[CreditLeft]:
    """Return what pays for this month's further usage, in the order in which it is used."""
    period = months.current()
    credits_left = {}
    for credit in credits.left_of_grants(tenant, period):
        if credit.left_nanousd > 0 and credit.covers(period):
            credits_left[credit.grant_id] = credit.left_nanousd
    grants = CreditGrant.objects.in_bulk(credits_left)
    return [CreditLeft(grants[grant_id], nanousd) for grant_id, nanousd in credits_left.items()]
