"""What a payment provider does, in our words. Amounts are whole cents of US dollars."""

from dataclasses import dataclass
from typing import Protocol

from django.utils.translation import gettext_noop as _

from billing.models import Payment, PaymentAccount
from core.errors import Conflict, Unavailable
from core.messages import Message, MessageCode


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
