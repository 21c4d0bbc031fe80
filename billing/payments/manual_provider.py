"""Payment without a provider: people transfer the money, an operator confirms that it came. Works offline."""

from dataclasses import replace

from billing.models import Payment, PaymentAccount
from billing.payments.providers import NotByProvider, Outcome, SavedMethod
from core.money import NANO


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
