"""Begin payments, follow them, and give what they pay for: each once, whatever is repeated or comes late.

A row is saved before the provider is called; its id is the idempotency key. The outcome is read from the
provider; an event or a person's return only says when to look.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from billing.invoices import invoices
from billing.invoices.credit_notes import due_nanousd
from billing.invoices.invoice_lines import CENT
from billing.models import Payment, PaymentAccount, PaymentEvent
from billing.payments.providers import (
    CustomerGone,
    ManualProvider,
    NoSavedCard,
    NotByProvider,
    Outcome,
    PaymentFault,
    PaymentProvider,
    ProviderEvent,
    ProviderUnavailable,
    count_outcome,
)
from billing.payments.stripe_provider import StripeProvider, is_checkout
from core.errors import Conflict, Invalid
from core.messages import Message
from core.money import NANO, usd
from events.models import EventType
from events.outbox import record_event
from metering.credits import GrantReason, grant_credit
from metering.models import CreditGrant, Invoice
from tenants.access import Access
from tenants.models import Tenant
from tenants.roles import Permission

logger = logging.getLogger(__name__)

State = Payment.State
Purpose = Payment.Purpose
REASONS = {
    Purpose.TOP_UP: GrantReason.TOP_UP,
    Purpose.AUTO_TOP_UP: GrantReason.AUTO_TOP_UP,
    Purpose.INVOICE: GrantReason.PAID_TWICE,
}
MIN_TOP_UP_NANOUSD = 5 * NANO
MAX_TOP_UP_NANOUSD = 10_000 * NANO
MAX_OPEN = 20  # payments of one workspace that wait at once
CHECKED_EVERY = timedelta(minutes=10)
UNANSWERED_AFTER = timedelta(minutes=2)  # a payment without a reference is sent again
GIVEN_UP_AFTER = timedelta(hours=20)  # Stripe forgets idempotency keys after 24 hours at the earliest
BATCH_SIZE = 100


class BadTopUp(Invalid):
    """A top-up must be between {least} and {most}, in whole cents."""

    code = "invalid_top_up"


class TooManyOpen(Conflict):
    """This workspace has too many open payments. Complete them, or wait for them to finish."""

    code = "too_many_open_payments"


class NothingDue(Conflict):
    """There is nothing due on this invoice."""


class OtherPayment(Conflict):
    """This form was already used for another payment. Reload the page and try again."""

    for_programs = (
        "This Idempotency-Key was already used for another payment. Use a new key for each payment."
    )


class NotOpen(Conflict):
    """This payment is {state}. Only open bank transfers can be confirmed or rejected."""

    code = "payment_state"


def current_provider() -> PaymentProvider:
    """Return Stripe where its key is set, else transfers that operators confirm."""
    if settings.STRIPE_SECRET_KEY:
        return _stripe()
    return ManualProvider()


def account_of(tenant: Tenant) -> PaymentAccount:
    """Return how a workspace pays; not saved where it never did."""
    account = PaymentAccount.objects.select_related("tenant").filter(tenant=tenant).first()
    return account or PaymentAccount(tenant=tenant)


def begin_top_up(amount_nanousd: int, *, by: Access, payment_id: UUID) -> Payment:
    """Return a payment for credits, with where to pay it. The same id is the same payment.

    Raises RoleNotAllowed, BadTopUp, TooManyOpen, OtherPayment and ProviderUnavailable; after the last one the
    same call goes on where it stopped.
    """
    by.require_permission(Permission.MANAGE_BILLING)
    require_top_up_amount(amount_nanousd)
    known = Payment.objects.filter(pk=payment_id).first()
    if known is None:
        if Payment.objects.filter(tenant=by.tenant, state=State.OPEN).count() >= MAX_OPEN:
            raise TooManyOpen
        payment = Payment(pk=payment_id, purpose=Purpose.TOP_UP, amount_nanousd=amount_nanousd)
        known = _save_new(payment, Q(pk=payment_id), by=by)
    is_same = (known.purpose, known.amount_nanousd) == (Purpose.TOP_UP, amount_nanousd)
    if known.tenant_id != by.tenant.pk or not is_same:
        raise OtherPayment
    return _start(known)


def begin_invoice_payment(invoice: Invoice, *, by: Access) -> Payment:
    """Return the open payment of what is due for an invoice of the caller's workspace; begin it if needed.

    Raises RoleNotAllowed, NothingDue, NotByProvider and ProviderUnavailable.
    """
    by.require_permission(Permission.MANAGE_BILLING)
    if not current_provider().takes_cards:
        raise NotByProvider
    due = due_nanousd(invoice)
    if due <= 0:
        raise NothingDue
    known = _begun_payment(invoice, due)
    if known and known.state == State.SUCCEEDED:
        return known
    if known and known.state == State.OPEN:
        return _start(known)
    payment = Payment(purpose=Purpose.INVOICE, invoice=invoice, amount_nanousd=due)
    return _start(_save_new(payment, Q(invoice=invoice, state=State.OPEN), by=by))


def _begun_payment(invoice: Invoice, due: int) -> Payment | None:
    """Return an invoice's payment that is open in our row, as the provider has it now.

    One of another amount than what is due is canceled.
    """
    known = Payment.objects.filter(invoice=invoice, state=State.OPEN).first()
    if known is None:
        return None
    if known.reference:
        known = refresh_payment(known)
    if known.state == State.OPEN and known.amount_nanousd != due:  # a credit note came since
        known = apply_outcome(known, _provider_of(known).cancel(known))
    return known


def refresh_payment(payment: Payment) -> Payment:
    """Ask the provider what came of a payment, and do what follows. Raises ProviderUnavailable."""
    if payment.provider == Payment.Provider.STRIPE and payment.reference:
        return apply_outcome(payment, _provider_of(payment).read(payment))
    return payment


def apply_outcome(payment: Payment, outcome: Outcome) -> Payment:
    """Take over what a provider says: the first success gives what was paid for, and nothing undoes it."""
    with transaction.atomic():
        locked = Payment.objects.select_for_update(no_key=True).select_related("tenant").get(pk=payment.pk)
        locked.checked_at = timezone.now()
        locked.reference = outcome.reference or locked.reference
        locked.url = outcome.url
        _keep_customer(locked, outcome)
        if outcome.is_method_gone:
            _forget_method(locked)
        state = outcome.state
        if state == State.SUCCEEDED and not _is_amount_of(locked, outcome):
            # Never ours to guess: a person looks at it. Nothing is granted for it.
            logger.error("payment_amount_differs", extra={"payment": str(locked.pk)})
            state = State(locked.state)
        # Money counts whenever it comes; of other ends the first one stays.
        is_first_end = locked.state == State.OPEN and state != State.OPEN
        is_late_money = state == State.SUCCEEDED and locked.state != State.SUCCEEDED
        if is_first_end or is_late_money:
            _close(locked, state, failure=outcome.failure)
        locked.save()
    return locked


def receive_event(event: ProviderEvent) -> None:
    """Do what follows from a verified event, once. Safe to repeat and in any order: the state is read anew.

    Nothing is ever begun or charged because of an event.

    Raises ProviderUnavailable: then the provider sends the event again.
    """
    if PaymentEvent.objects.filter(event_id=event.event_id).exists():
        return
    try:
        payment = Payment.objects.filter(pk=UUID(event.payment_id)).first()
    except ValueError:
        return
    if payment is None:  # of another installation with the same Stripe account
        return
    if payment.reference:
        refresh_payment(payment)
    elif not _apply_reported(payment, event.reference):
        return
    # Noted last: if anything above fails, the provider sends the event again, and it is not taken for done.
    PaymentEvent.objects.get_or_create(
        event_id=event.event_id, defaults={"type": event.type[:80], "payment": payment}
    )


def resume_payment(payment: Payment) -> Payment:
    """Go on with a payment whose beginning the provider did not answer. Raises ProviderUnavailable."""
    if payment.purpose == Purpose.AUTO_TOP_UP:
        return charge(payment)
    return _start(payment)


def charge(payment: Payment) -> Payment:
    """Charge the saved card for a payment; without one it fails. Raises ProviderUnavailable.

    A payment that is closed, or so old that its idempotency key may be forgotten, is returned as it is:
    another request could charge it a second time.
    """
    payment = Payment.objects.select_related("tenant").get(pk=payment.pk)
    # The row was read again above: another process may have closed it since.
    if payment.state != State.OPEN or payment.created_at < timezone.now() - GIVEN_UP_AFTER:
        return payment
    account = account_of(payment.tenant)
    try:
        _keep_method(payment, account)
    except NoSavedCard as error:
        if isinstance(error, CustomerGone):
            gone = PaymentAccount.objects.filter(pk=account.pk, customer_id=account.customer_id)
            gone.update(customer_id="", payment_method_id="")
        return apply_outcome(payment, Outcome(State.FAILED, "", 0, failure=str(error)))
    return apply_outcome(payment, _provider_of(payment).charge(payment))


def confirm_transfer(payment: Payment, *, actor: str) -> Payment:
    """Note that the money of a transfer came: it gives what it was for. Raises NotOpen."""
    return _decide(payment, State.SUCCEEDED, actor=actor)


def reject_transfer(payment: Payment, *, reason: str, actor: str) -> Payment:
    """Note that no money came. Raises NotOpen."""
    return _decide(payment, State.CANCELED, actor=actor, failure=reason)


def sweep_payments(now: datetime) -> int:
    """Look after open payments whose event got lost; return how many were checked. Safe to repeat."""
    asked = 0
    for payment in _due_payments(now)[:BATCH_SIZE]:
        # Noted before the provider is called, so a payment that always fails does not stand first each time.
        Payment.objects.filter(pk=payment.pk).update(checked_at=now)
        try:
            if payment.reference:
                refresh_payment(payment)
            elif payment.created_at < now - GIVEN_UP_AFTER:
                _give_up(payment)
            else:
                resume_payment(payment)
            asked += 1
        except (ProviderUnavailable, Conflict) as error:
            logger.warning("payment_not_checked", extra={"payment": str(payment.pk), "error": error.code})
        except Exception:  # the others must not wait for it
            logger.exception("payment_check_failed", extra={"payment": str(payment.pk)})
    return asked


def require_top_up_amount(amount_nanousd: int) -> None:
    """Raise BadTopUp for an amount that is too small, too large, or no whole cents."""
    if not MIN_TOP_UP_NANOUSD <= amount_nanousd <= MAX_TOP_UP_NANOUSD or amount_nanousd % CENT:
        least, most = usd(MIN_TOP_UP_NANOUSD), usd(MAX_TOP_UP_NANOUSD)
        raise BadTopUp(least=least, most=most, field="amount_nanousd")


def page_of(payment: Payment) -> str:
    """Return the address of a payment's page, where the provider leads back to."""
    return settings.SITE_URL + reverse("billing:payment", args=[payment.pk])


def _stripe() -> StripeProvider:
    return StripeProvider(settings.STRIPE_SECRET_KEY, api_base=settings.STRIPE_API_BASE)


def _provider_of(payment: Payment) -> PaymentProvider:
    """Return the provider that a payment was begun with, whatever is current now."""
    # An operator may change the provider while payments of the old one are open.
    if payment.provider != Payment.Provider.STRIPE:
        return ManualProvider()
    if not settings.STRIPE_SECRET_KEY:
        raise ProviderUnavailable
    return _stripe()


def _save_new(payment: Payment, same: Q, *, by: Access) -> Payment:
    """Save a payment that somebody begins; return the one that another request saved first, if one did."""
    payment.tenant = by.tenant
    payment.provider = current_provider().name
    after = {"purpose": payment.purpose, "amount_nanousd": payment.amount_nanousd}
    try:
        with transaction.atomic():
            payment.save(force_insert=True)
            by.audit("payment.begun", payment, after=after)
    except IntegrityError:
        return Payment.objects.select_related("tenant").get(same)
    return payment


def _start(payment: Payment) -> Payment:
    """Ask the provider for where to pay, unless that is known or it is paid."""
    if payment.reference or payment.state != State.OPEN:
        return payment
    account, _ = PaymentAccount.objects.select_related("tenant").get_or_create(tenant=payment.tenant)
    try:
        outcome = _provider_of(payment).start(payment, account, back_url=page_of(payment))
    finally:  # a customer that was made is kept, whatever failed after it
        new = PaymentAccount.objects.filter(pk=account.pk, customer_id="")
        new.update(customer_id=account.customer_id)
    return apply_outcome(payment, outcome)


def _is_amount_of(payment: Payment, outcome: Outcome) -> bool:
    return outcome.currency == "usd" and outcome.amount_cents * CENT == payment.amount_nanousd


def _keep_customer(payment: Payment, outcome: Outcome) -> None:
    """Keep who paid and with what, for the next automatic top-up."""
    known = {}
    if outcome.customer_id:
        known["customer_id"] = outcome.customer_id
    if outcome.payment_method_id and outcome.state == State.SUCCEEDED:
        known["payment_method_id"] = outcome.payment_method_id
    if known:
        PaymentAccount.objects.update_or_create(tenant=payment.tenant, defaults=known)


def _close(payment: Payment, state: State, *, failure: str | Message = "", actor: str = "") -> None:
    """Move a locked payment to its end; a success gives what was paid for. Its row is saved by the caller."""
    payment.state = state
    payment.closed_at = timezone.now()
    payment.failure = Message() if state == State.SUCCEEDED else Message.of(failure)
    payment.save()
    if payment.purpose == Purpose.AUTO_TOP_UP:
        count_outcome(payment, payment.closed_at)
    if state == State.SUCCEEDED:
        _give(payment, actor or payment.get_provider_display())
        record_event(payment.tenant_id, EventType.PAYMENT_SUCCEEDED, payment)
    elif state == State.FAILED:
        record_event(payment.tenant_id, EventType.PAYMENT_FAILED, payment)


def _give(payment: Payment, actor: str) -> None:
    """Pay the invoice, or grant the credits. What the invoice no longer needs becomes credits."""
    left = payment.amount_nanousd
    if payment.invoice_id:
        # In the order of every change of invoices: the workspace first.
        Tenant.objects.select_for_update(no_key=True).get(pk=payment.tenant_id)
        invoice = Invoice.objects.select_for_update(no_key=True).get(pk=payment.invoice_id)
        due = due_nanousd(invoice)
        if 0 < due <= left:
            invoices.pay_invoice(invoice, actor=actor, reason=f"{payment}, {payment.reference}")
            left -= due
    if left:
        grant_credit(
            payment.tenant,
            left,
            source=CreditGrant.Source.TOP_UP,
            source_id=str(payment.pk),
            reason=REASONS[Purpose(payment.purpose)](payment=payment),
            actor=actor,
        )


def _apply_reported(payment: Payment, reference: str) -> bool:
    """Take over what an event's object is now; return False where it says nothing of this payment.

    The answer that named the object got lost, so its id comes from the event. That it is this payment's is
    read from the provider. Raises ProviderUnavailable.
    """
    if payment.provider != Payment.Provider.STRIPE or not reference:
        return False
    outcome = _provider_of(payment).read(Payment(pk=payment.pk, reference=reference))
    if outcome.payment_id != str(payment.pk):
        logger.error("event_of_another_payment", extra={"payment": str(payment.pk)})
        return False
    # On a checkout's page a person may try another card after a decline: only the session says it is over.
    is_attempt = payment.purpose != Purpose.AUTO_TOP_UP and not is_checkout(reference)
    if is_attempt and outcome.state != State.SUCCEEDED:
        return False
    apply_outcome(payment, outcome)
    return True


def _keep_method(payment: Payment, account: PaymentAccount) -> None:
    """Choose what is charged, once: under one idempotency key the parameters must stay the same.

    Raises ProviderUnavailable and NoSavedCard.
    """
    if payment.payment_method_id:
        return
    chosen = _provider_of(payment).choose_method(account)
    Payment.objects.filter(pk=payment.pk, payment_method_id="").update(
        customer_id=chosen.customer_id, payment_method_id=chosen.payment_method_id
    )
    payment.refresh_from_db(fields=["customer_id", "payment_method_id"])


def _forget_method(payment: Payment) -> None:
    account = PaymentAccount.objects.filter(tenant=payment.tenant_id)
    account.filter(payment_method_id=payment.payment_method_id).update(payment_method_id="")


def _decide(payment: Payment, state: State, *, actor: str, failure: str = "") -> Payment:
    with transaction.atomic():
        locked = Payment.objects.select_for_update(no_key=True).select_related("tenant").get(pk=payment.pk)
        if locked.state != State.OPEN or locked.provider != Payment.Provider.MANUAL:
            raise NotOpen(state=locked.get_state_display())
        _close(locked, state, failure=failure, actor=actor)
    payment.refresh_from_db()
    return payment


def _due_payments(now: datetime) -> QuerySet[Payment]:
    """Return open payments with Stripe that nobody has looked at for a while, the oldest first."""
    unchecked = Q(checked_at=None) | Q(checked_at__lt=now - CHECKED_EVERY)
    answered = ~Q(reference="")
    waiting = Q(reference="", created_at__lt=now - UNANSWERED_AFTER)
    open_ones = Payment.objects.filter(state=State.OPEN, provider=Payment.Provider.STRIPE)
    return open_ones.filter(unchecked, answered | waiting).select_related("tenant").order_by("created_at")


def _give_up(payment: Payment) -> None:
    """Close a payment that the provider never answered for. Should its money come after all, it counts."""
    outcome = Outcome(State.CANCELED, "", 0, failure=PaymentFault.NO_ANSWER())
    apply_outcome(payment, outcome)
