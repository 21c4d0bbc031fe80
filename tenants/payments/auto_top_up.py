"""Buy credits with the saved card when few are left: one top-up at a time, less often after a decline."""

import logging
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q

from foundation import months
from foundation.errors import DomainError, Invalid
from tenants.billing.credits import credits_left
from tenants.models import Payment, PaymentAccount, Tenant
from tenants.payments import payments
from tenants.payments.backoff import MAX_FAILURES
from tenants.payments.providers import NoSavedCard, NotByProvider

logger = logging.getLogger(__name__)


class BadThreshold(Invalid):
    """Give both amounts in whole cents: when less than so much is left, and how much is topped up then."""

    code = "invalid_threshold"


def set_auto_top_up(
    tenant: Tenant, *, threshold_nanousd: int | None, amount_nanousd: int | None
) -> PaymentAccount:
    """Switch automatic top-ups on, or off with two times None; what failed before is forgotten.

    Raises NotByProvider, NoSavedCard, BadThreshold and BadTopUp.
    """
    account = payments.account_of(tenant)
    if threshold_nanousd is not None or amount_nanousd is not None:
        if not payments.current_provider().takes_cards:
            raise NotByProvider
        if not account.payment_method_id:
            raise NoSavedCard
        if not threshold_nanousd or not amount_nanousd or threshold_nanousd < 0:
            raise BadThreshold(field="threshold_nanousd")
        payments.require_top_up_amount(amount_nanousd)
    account, _ = PaymentAccount.objects.update_or_create(
        tenant=tenant,
        defaults={
            "threshold_nanousd": threshold_nanousd,
            "amount_nanousd": amount_nanousd,
            "failures": 0,
            "retry_at": None,
        },
    )
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
    begun = 0
    period = months.period_of(now)
    for account in _watched(now):
        if credits_left(account.tenant, period) < (account.threshold_nanousd or 0):
            begun += _top_up(account, now)
    return begun


def _watched(now: datetime) -> list[PaymentAccount]:
    watched = PaymentAccount.objects.filter(
        Q(retry_at=None) | Q(retry_at__lte=now),
        threshold_nanousd__isnull=False,
        failures__lt=MAX_FAILURES,
        tenant__suspended_at=None,
    )
    return list(watched.select_related("tenant"))


def _top_up(account: PaymentAccount, now: datetime) -> bool:
    """Begin one top-up and charge it; return False while another one is open."""
    payment = Payment(
        tenant=account.tenant,
        purpose=Payment.Purpose.AUTO_TOP_UP,
        amount_nanousd=account.amount_nanousd or 0,
        provider=payments.current_provider().name,
        actor="automatic top-up",
    )
    try:
        with transaction.atomic():
            payment.save(force_insert=True)
    except IntegrityError:  # one is open already
        return False
    try:
        payments.charge(payment)
    except DomainError as error:
        # Whether it was charged is not known: the sweep asks again, under the same key.
        logger.warning("top_up_unanswered", extra={"payment": str(payment.pk), "error": error.code})
    return True
