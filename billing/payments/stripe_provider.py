"""Payment by Stripe, through its own library. Card data go from the browser to Stripe and never come here.

Stripe's messages may hold parts of keys or of what people typed: the log gets types, codes and request ids.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import stripe
from stripe.params import PaymentIntentCreateParams
from stripe.params.checkout import SessionCreateParams

from billing.models import Payment, PaymentAccount
from billing.payments.providers import (
    CustomerGone,
    NoSavedCard,
    Outcome,
    PaymentFault,
    ProviderEvent,
    ProviderUnavailable,
    SavedMethod,
)
from core.errors import Invalid
from core.money import NANO

logger = logging.getLogger(__name__)

State = Payment.State
CHECKOUT = "cs_"  # how ids of checkout sessions begin
INTENT = "pi_"  # and those of payment intents
NANO_A_CENT = NANO // 100
RESOURCE_MISSING = "resource_missing"
# A person waits for the page. The sweep goes on with what was not answered.
TIMEOUT_S = 8
RETRIES = 2
STATES = {
    "succeeded": State.SUCCEEDED,
    "canceled": State.CANCELED,
    "requires_payment_method": State.FAILED,
    # A person would have to confirm, and none is here.
    "requires_action": State.FAILED,
    "requires_confirmation": State.FAILED,
}

DEAD = ("requires_payment_method", "canceled")  # of an intent whose session is complete


class BadSignature(Invalid):
    """Invalid signature: not signed with this site's webhook secret, or too old."""


class StripeProvider:
    """Checkout for top-ups and invoices, payment intents for automatic top-ups, the customer portal."""

    name = Payment.Provider.STRIPE
    takes_cards = True

    def __init__(self, secret_key: str, *, api_base: str = "", timeout_s: float = TIMEOUT_S) -> None:
        addresses = {"api": api_base} if api_base else None
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses=cast(Any, addresses),
            http_client=stripe.RequestsClient(timeout=timeout_s),
            max_network_retries=RETRIES,
        )

    def start(self, payment: Payment, account: PaymentAccount, *, back_url: str) -> Outcome:
        """Return a checkout session, the same one each time."""
        with _translated():
            session = self._client.v1.checkout.sessions.create(
                _checkout_of(payment, self._customer_of(account), back_url),
                {"idempotency_key": f"checkout-{payment.pk}"},
            )
        return _outcome_of_session(session)

    def choose_method(self, account: PaymentAccount) -> SavedMethod:
        """Return the card that the customer chose in the portal, or else the one of the last top-up.

        Raises NoSavedCard, CustomerGone and ProviderUnavailable.
        """
        if not account.customer_id:
            raise NoSavedCard
        with _translated():
            try:
                customer = self._client.v1.customers.retrieve(account.customer_id)
            except stripe.InvalidRequestError as error:
                if error.code == RESOURCE_MISSING:
                    raise CustomerGone from error
                raise
        if getattr(customer, "deleted", False):
            raise CustomerGone
        settings = customer.invoice_settings
        chosen = settings.default_payment_method if settings else None
        method = chosen if isinstance(chosen, str) else account.payment_method_id
        if not method:
            raise NoSavedCard
        return SavedMethod(account.customer_id, method)

    def charge(self, payment: Payment) -> Outcome:
        """Charge the payment's card. A decline is an outcome, and cancels the intent: it never succeeds."""
        params: PaymentIntentCreateParams = {
            "amount": payment.amount_nanousd // NANO_A_CENT,
            "currency": "usd",
            "customer": payment.customer_id,
            "payment_method": payment.payment_method_id,
            "off_session": True,
            "confirm": True,
            "description": f"{payment.get_purpose_display().capitalize()} {payment}",
            "metadata": {"payment": str(payment.pk)},
        }
        with _translated():
            try:
                intent = self._client.v1.payment_intents.create(
                    params, {"idempotency_key": f"charge-{payment.pk}"}
                )
            except stripe.CardError as declined:
                return self._declined(payment, declined)
            except stripe.InvalidRequestError as refused:
                return self._refused(payment, refused)
        return _outcome_of_intent(intent)

    def read(self, payment: Payment) -> Outcome:
        """Return what Stripe knows now."""
        with _translated():
            if is_checkout(payment.reference):
                session = self._client.v1.checkout.sessions.retrieve(
                    payment.reference, {"expand": ["payment_intent"]}
                )
                return _outcome_of_session(session)
            intent = self._client.v1.payment_intents.retrieve(payment.reference)
            return _outcome_of_intent(intent)

    def cancel(self, payment: Payment) -> Outcome:
        """Expire a checkout session that is open; return what holds then."""
        before = self.read(payment)
        if before.state != State.OPEN or not is_checkout(payment.reference):
            return before
        with _translated():
            session = self._client.v1.checkout.sessions.expire(payment.reference)
        return _outcome_of_session(session)

    def portal_url(self, account: PaymentAccount, *, back_url: str) -> str:
        """Return a new address of the customer portal, good for minutes. Raises NoSavedCard."""
        if not account.customer_id:
            raise NoSavedCard
        with _translated():
            portal = self._client.v1.billing_portal.sessions.create(
                {"customer": account.customer_id, "return_url": back_url}
            )
        return portal.url

    def _customer_of(self, account: PaymentAccount) -> str:
        """Return the workspace's customer, made if it has none: the same one also for two at once."""
        if not account.customer_id:
            customer = self._client.v1.customers.create(
                {"name": account.tenant.name, "metadata": {"workspace": str(account.tenant_id)}},
                {"idempotency_key": f"customer-{account.tenant_id}"},
            )
            account.customer_id = customer.id
        return account.customer_id

    def _declined(self, payment: Payment, declined: stripe.CardError) -> Outcome:
        intent = declined.error.payment_intent if declined.error else None
        if intent:
            with suppress(stripe.StripeError):  # canceled by an earlier attempt
                self._client.v1.payment_intents.cancel(intent.id)
        return Outcome(
            State.FAILED,
            reference=intent.id if intent else payment.reference,
            amount_cents=payment.amount_nanousd // NANO_A_CENT,
            failure=declined.user_message or PaymentFault.DECLINED(),
        )

    def _refused(self, payment: Payment, refused: stripe.InvalidRequestError) -> Outcome:
        """Return a failure: nothing was charged. Stripe's message is for developers, so it is not shown."""
        logger.warning(
            "stripe_refused", extra={"code": refused.code, "param": refused.param, "id": refused.request_id}
        )
        is_gone = self._is_method_gone(payment)
        return Outcome(
            State.FAILED,
            reference=payment.reference,
            amount_cents=payment.amount_nanousd // NANO_A_CENT,
            failure=PaymentFault.CARD_GONE() if is_gone else PaymentFault.REFUSED(),
            is_method_gone=is_gone,
        )

    def _is_method_gone(self, payment: Payment) -> bool:
        """Return whether the customer no longer has the card: looked up, as Stripe has several codes."""
        try:
            method = self._client.v1.payment_methods.retrieve(payment.payment_method_id)
        except stripe.InvalidRequestError as error:
            if error.code == RESOURCE_MISSING:
                return True
            raise
        return _id_of(method.customer) != payment.customer_id


def is_checkout(reference: str) -> bool:
    """Return whether an id is of a checkout session, where a person pays, and not of an intent."""
    return reference.startswith(CHECKOUT)


def verify_event(payload: bytes, signature: str, *, secret: str) -> ProviderEvent | None:
    """Return a signed event's payment; None for one about something else. Raises BadSignature."""
    try:
        stripe.WebhookSignature.verify_header(payload, signature, secret, stripe.Webhook.DEFAULT_TOLERANCE)
        event = json.loads(payload)
        thing = event["data"]["object"]
        payment_id = (thing.get("metadata") or {}).get("payment")
        # Other systems of the same Stripe account send events here, too.
        if not isinstance(payment_id, str):
            return None
        reference = str(thing.get("id") or "")
        is_readable = reference.startswith((CHECKOUT, INTENT))
        return ProviderEvent(
            str(event["id"]), str(event["type"]), payment_id, reference if is_readable else ""
        )
    except (ValueError, LookupError, AttributeError, stripe.SignatureVerificationError) as error:
        raise BadSignature from error


def _checkout_of(payment: Payment, customer_id: str, back_url: str) -> SessionCreateParams:
    about = f"Invoice {payment.invoice}" if payment.invoice else "Credits"
    metadata = {"payment": str(payment.pk)}
    params: SessionCreateParams = {
        "mode": "payment",
        "customer": customer_id,
        "client_reference_id": str(payment.pk),
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": payment.amount_nanousd // NANO_A_CENT,
                    "product_data": {"name": about},
                },
            }
        ],
        "metadata": metadata,
        # The card is saved for automatic top-ups, which only start when an owner asks for them.
        "payment_intent_data": {"metadata": metadata, "setup_future_usage": "off_session"},
        "success_url": back_url,
        "cancel_url": back_url,
    }
    return params


def _outcome_of_session(session: stripe.checkout.Session) -> Outcome:
    intent = session.payment_intent if isinstance(session.payment_intent, stripe.PaymentIntent) else None
    return Outcome(
        _state_of_session(session, intent),
        reference=session.id,
        amount_cents=session.amount_total or 0,
        currency=session.currency or "",
        url=session.url or "",
        customer_id=_id_of(session.customer),
        payment_method_id=_id_of(intent.payment_method) if intent else "",
        failure=_failure_of(intent) if intent else "",
        payment_id=_payment_of(session),
    )


def _state_of_session(session: stripe.checkout.Session, intent: stripe.PaymentIntent | None) -> State:
    if session.payment_status == "paid":
        return State.SUCCEEDED
    if session.status == "expired":
        return State.CANCELED
    # A delayed payment, such as a direct debit, can fail after its session is complete. Nobody can pay there
    # again, and an open payment would keep others from its invoice.
    if session.status == "complete" and intent and intent.status in DEAD:
        return State.FAILED
    return State.OPEN


def _outcome_of_intent(intent: stripe.PaymentIntent) -> Outcome:
    return Outcome(
        STATES.get(intent.status, State.OPEN),
        reference=intent.id,
        amount_cents=intent.amount,
        currency=intent.currency,
        customer_id=_id_of(intent.customer),
        payment_method_id=_id_of(intent.payment_method),
        failure=_failure_of(intent),
        payment_id=_payment_of(intent),
    )


def _failure_of(intent: stripe.PaymentIntent) -> str:
    failed = intent.last_payment_error
    return (failed.message or "") if failed else ""


def _payment_of(thing: stripe.checkout.Session | stripe.PaymentIntent) -> str:
    """Return which payment an object names as its own; empty for none."""
    return str(getattr(thing.metadata, "payment", ""))


def _id_of(thing: object) -> str:
    """Return the id of what Stripe gives as an id or as an object; empty for nothing."""
    if isinstance(thing, str):
        return thing
    return str(getattr(thing, "id", ""))


@contextmanager
def _translated() -> Iterator[None]:
    """Raise ProviderUnavailable for whatever Stripe or the way to it fails with."""
    try:
        yield
    except stripe.StripeError as error:
        logger.warning(
            "stripe_failed", extra={"error": type(error).__name__, "code": error.code, "id": error.request_id}
        )
        raise ProviderUnavailable from error
