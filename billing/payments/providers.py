"""What a payment provider does, in our words, and payment without one. Amounts are whole cents of US dollars.

After a declined automatic top-up the next attempt waits, longer each time, and at last for an owner.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from django.db.models import F
from django.utils.translation import gettext_noop as _

from billing.models import Payment, PaymentAccount
from core.errors import Conflict, Unavailable
from core.messages import Message, MessageCode
from core.money import NANO
from core.outgoing import RetrySchedule


class PaymentFault(MessageCode):
    """Why a payment failed, where the provider has no words for the person who pays."""

    NO_ANSWER = _("The payment provider didn't respond.")
    DECLINED = _("The card was declined.")
    REFUSED = _("The payment provider declined the charge.")
    CARD_GONE = _("Your saved card was removed. Pay once by card to save it again.")
    TOO_MANY = _(
        "Not charged: you've reached the limit of {count} automatic top-ups per day. The next one "
        "is possible at {time} UTC."
    )


class ProviderUnavailable(Unavailable):
    """The payment provider isn't responding. You were not charged. Try again in a minute."""

    code = "payment_provider_unavailable"


class NoSavedCard(Conflict):
    """No card saved yet. Top up once by card; automatic top-ups will use that card."""


class CustomerGone(NoSavedCard):
    """There is no longer a saved card. Top up once by card; automatic top-ups will use that card."""

    code = "no_saved_card"


class NotByProvider(Conflict):
    """Card payments are not available here. Pay by bank transfer."""

    code = "no_payment_provider"


@dataclass(frozen=True)
class Outcome:
    """What a provider says of a payment at a moment."""

    state: Payment.State
    reference: str
    amount_cents: int
    currency: str = "usd"
    url: str = ""
    customer_id: str = ""
    payment_method_id: str = ""
    failure: str | Message = ""
    payment_id: str = ""  # of ours, as the provider's object names it
    is_method_gone: bool = False  # the saved card can't be charged again


@dataclass(frozen=True)
class SavedMethod:
    """What is charged without a person: the provider's ids of a customer and of its card."""

    customer_id: str
    payment_method_id: str


@dataclass(frozen=True)
class ProviderEvent:
    """A verified event: it only says which payment to ask about, and by which of the provider's ids."""

    event_id: str
    type: str
    payment_id: str
    reference: str = ""


class PaymentProvider(Protocol):
    """A rail for money. Each call may be repeated: the payment's id is its idempotency key."""

    name: Payment.Provider
    takes_cards: bool

    def start(self, payment: Payment, account: PaymentAccount, *, back_url: str) -> Outcome:
        """Let a person pay; return where. Raises ProviderUnavailable."""
        ...

    def choose_method(self, account: PaymentAccount) -> SavedMethod:
        """Return what was saved for later. Raises ProviderUnavailable, NoSavedCard and CustomerGone."""
        ...

    def charge(self, payment: Payment) -> Outcome:
        """Charge what the payment's row names, without a person. Raises ProviderUnavailable."""
        ...

    def read(self, payment: Payment) -> Outcome:
        """Return a payment's state now. Raises ProviderUnavailable."""
        ...

    def cancel(self, payment: Payment) -> Outcome:
        """End a payment; return its state then, as it may be paid already. Raises ProviderUnavailable."""
        ...

    def portal_url(self, account: PaymentAccount, *, back_url: str) -> str:
        """Return where a person changes cards and sees receipts. Raises ProviderUnavailable, NoSavedCard."""
        ...


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


class ManualProvider:
    """Without a provider: the payment stays open until an operator decides."""

    name = Payment.Provider.MANUAL
    takes_cards = False

    def start(self, payment: Payment, account: PaymentAccount, *, back_url: str) -> Outcome:
        """Return the payment, to be made by transfer."""
        return self.read(payment)

    def choose_method(self, account: PaymentAccount) -> SavedMethod:
        """Raise NotByProvider: nothing is saved."""
        raise NotByProvider

    def charge(self, payment: Payment) -> Outcome:
        """Raise NotByProvider: without a person nothing is paid."""
        raise NotByProvider

    def read(self, payment: Payment) -> Outcome:
        """Return the payment as it is."""
        cents = payment.amount_nanousd * 100 // NANO
        return Outcome(Payment.State(payment.state), str(payment), cents)

    def cancel(self, payment: Payment) -> Outcome:
        """Return the payment as canceled."""
        return replace(self.read(payment), state=Payment.State.CANCELED)

    def portal_url(self, account: PaymentAccount, *, back_url: str) -> str:
        """Raise NotByProvider."""
        raise NotByProvider
