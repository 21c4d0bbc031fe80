"""After a declined automatic top-up the next attempt waits, longer each time, and at last for an owner."""

from datetime import datetime

from django.db.models import F

from billing.models import Payment, PaymentAccount
from core.outgoing import RetrySchedule

HOUR_S = 3_600
RETRIES = RetrySchedule((HOUR_S, 6 * HOUR_S, 24 * HOUR_S, 72 * HOUR_S))
MAX_FAILURES = len(RETRIES.after_s) + 1  # then an owner has to look: saving the settings starts it again


def is_paused(account: PaymentAccount) -> bool:
    """Return whether automatic top-ups were declined so often that an owner has to look."""
    return account.failures >= MAX_FAILURES


def count_outcome(payment: Payment, now: datetime) -> None:
    """Count a declined automatic top-up, and forget the declines after a success.

    Call it in the transaction that closes the payment.
    """
    account = PaymentAccount.objects.filter(tenant=payment.tenant_id)
    if payment.state == Payment.State.SUCCEEDED:
        account.update(failures=0, retry_at=None)
        return
    account.update(failures=F("failures") + 1)
    failures = account.values_list("failures", flat=True).first() or 1
    account.update(retry_at=RETRIES.next_attempt_at(now, failures))
