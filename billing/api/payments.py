"""Credits and payments: what is left, top-ups, automatic ones, invoices."""

from typing import Any
from uuid import UUID, uuid4, uuid5

from django.db import transaction
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.base import DollarsField, present
from billing.api.presenters import PAYMENT_EXAMPLE, CreditGrantObject, PaymentObject
from billing.credit_balance import list_credits_left
from billing.invoices.invoices import final_invoices
from billing.models import Payment, PaymentAccount
from billing.payments import auto_top_up, backoff, payments
from core.money import dollars
from core.rest.bodies import StrictSerializer
from tenants.models import Scope, Tenant
from tenants.public import Access, Permission
from tenants.rest import WorkspaceView, operation, repeatable

CREDITS_EXAMPLE = {
    "object": "credits",
    "left_nanousd": 21_500_000_000,
    "left_usd": "21.50",
    "grants": [
        {
            "id": 7,
            "object": "credit_grant",
            "source": "top_up",
            "amount_nanousd": 25_000_000_000,
            "amount_usd": "25.00",
            "first_period": "2026-11",
            "last_period": None,
            "reason": "Top-up PAY-9B1DEB4D",
            "created_at": "2026-11-05T09:00:10Z",
            "left_nanousd": 21_500_000_000,
            "left_usd": "21.50",
        }
    ],
}
AUTO_EXAMPLE = {
    "object": "auto_top_up",
    "threshold_nanousd": 5_000_000_000,
    "amount_nanousd": 25_000_000_000,
    "is_paused": False,
    "retry_at": None,
}


class LeftObject(CreditGrantObject):
    """A credit grant and its remaining amount."""

    left_nanousd = serializers.IntegerField()
    left_usd = serializers.CharField()


class CreditsObject(serializers.Serializer[Any]):
    """The credits available this month, in the order in which they are used."""

    object = serializers.CharField(default="credits", read_only=True)
    left_nanousd = serializers.IntegerField()
    left_usd = DollarsField(source="left_nanousd")
    grants = LeftObject(many=True)


class TopUpBody(StrictSerializer):
    """The amount to buy."""

    amount_nanousd = serializers.IntegerField(
        min_value=payments.MIN_TOP_UP_NANOUSD,
        max_value=payments.MAX_TOP_UP_NANOUSD,
        help_text="Must be in whole cents.",
    )


class AutoTopUpBody(StrictSerializer):
    """The automatic top-up settings. Set both to `null` to turn it off."""

    threshold_nanousd = serializers.IntegerField(
        min_value=1, max_value=payments.MAX_TOP_UP_NANOUSD, allow_null=True
    )
    amount_nanousd = serializers.IntegerField(
        min_value=payments.MIN_TOP_UP_NANOUSD, max_value=payments.MAX_TOP_UP_NANOUSD, allow_null=True
    )


class AutoTopUpObject(serializers.Serializer[PaymentAccount]):
    """The automatic top-up settings. Top-ups charge the saved card."""

    object = serializers.CharField(default="auto_top_up", read_only=True)
    threshold_nanousd = serializers.IntegerField(allow_null=True, help_text="Null: never.")
    amount_nanousd = serializers.IntegerField(allow_null=True)
    is_paused = serializers.SerializerMethodField(help_text="The card was declined too often. Save it again.")
    retry_at = serializers.DateTimeField(allow_null=True, help_text="No automatic top-up before this time.")

    def get_is_paused(self, account: PaymentAccount) -> bool:
        """Return whether no further attempts are made."""
        return backoff.is_paused(account)


class CreditsView(WorkspaceView):
    """The workspace's credits."""

    @operation(
        "billing.credits",
        "Get the credit balance",
        scope=Scope.BILLING_READ,
        answer=CreditsObject,
        example=CREDITS_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return the grants available this month, except fully used ones."""
        return Response(_present_credits(self.access.tenant))


class TopUpsView(WorkspaceView):
    """Credits are bought here."""

    @operation(
        "billing.top_up",
        "Buy credits",
        scope=Scope.ADMIN,
        needs=Permission.MANAGE_BILLING,
        body=TopUpBody,
        answer=PaymentObject,
        status=201,
        is_post=True,
        example=PAYMENT_EXAMPLE,
        body_example={"amount_nanousd": 25_000_000_000},
    )
    @repeatable
    def post(self, request: Request) -> Response:
        """Start a payment, to be paid at its `url` or by bank transfer. Requires an owner or a key with
        `admin`."""
        body = self.read_body(TopUpBody)
        payment_id = _payment_id(self.access, request.headers.get("Idempotency-Key"))
        payment = payments.begin_top_up(body["amount_nanousd"], by=self.access, payment_id=payment_id)
        return self.answer_object(present(PaymentObject, payment), status=201)


class AutoTopUpView(WorkspaceView):
    """Automatic top-ups."""

    @operation(
        "billing.auto_top_up",
        "Get the automatic top-up settings",
        scope=Scope.BILLING_READ,
        answer=AutoTopUpObject,
        example=AUTO_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return the settings."""
        return self.answer_object(present(AutoTopUpObject, payments.account_of(self.access.tenant)))

    @operation(
        "billing.set_auto_top_up",
        "Update the automatic top-up settings",
        scope=Scope.ADMIN,
        needs=Permission.MANAGE_BILLING,
        body=AutoTopUpBody,
        answer=AutoTopUpObject,
        is_edit=True,
        example=AUTO_EXAMPLE,
        body_example={"threshold_nanousd": 5_000_000_000, "amount_nanousd": 25_000_000_000},
    )
    @transaction.atomic
    def put(self, request: Request) -> Response:
        """Update the settings. The card of the last payment is charged. Requires an owner or a key with
        `admin`."""
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=self.access.tenant.pk)
        self.require_match(present(AutoTopUpObject, payments.account_of(tenant)))
        account = auto_top_up.set_auto_top_up(**self.read_body(AutoTopUpBody), by=self.access)
        return self.answer_object(present(AutoTopUpObject, account))


class PaymentsView(WorkspaceView):
    """The workspace's payments."""

    @operation(
        "payments.list",
        "List payments",
        scope=Scope.BILLING_READ,
        answer=PaymentObject,
        is_page=True,
        example=PAYMENT_EXAMPLE,
        tag="billing",
    )
    def get(self, request: Request) -> Response:
        """Return top-ups and invoice payments, newest first."""
        own = Payment.objects.filter(tenant=self.access.tenant)
        return self.answer_page(own, lambda rows: [present(PaymentObject, row) for row in rows])


class PaymentView(WorkspaceView):
    """One payment."""

    @operation(
        "payments.get",
        "Get a payment",
        scope=Scope.BILLING_READ,
        answer=PaymentObject,
        example=PAYMENT_EXAMPLE,
        tag="billing",
    )
    def get(self, request: Request, payment_id: UUID) -> Response:
        """Return a payment in its last known state."""
        payment = get_object_or_404(Payment, tenant=self.access.tenant, pk=payment_id)
        return self.answer_object(present(PaymentObject, payment))


class PayInvoiceView(WorkspaceView):
    """The payment of an invoice."""

    @operation(
        "invoices.pay",
        "Pay an invoice by card",
        scope=Scope.ADMIN,
        needs=Permission.MANAGE_BILLING,
        answer=PaymentObject,
        status=201,
        is_post=True,
        example=PAYMENT_EXAMPLE,
    )
    @repeatable
    def post(self, request: Request, invoice_id: UUID) -> Response:
        """Return the open payment for the amount due, and create it if needed. It is paid at its `url`."""
        invoice = get_object_or_404(final_invoices(self.access.tenant), pk=invoice_id)
        payment = payments.begin_invoice_payment(invoice, by=self.access)
        return self.answer_object(present(PaymentObject, payment), status=201)


def _payment_id(access: Access, key: str | None) -> UUID:
    """Return the id of a payment: the same one for the same Idempotency-Key of the same caller."""
    return uuid5(access.tenant.pk, f"{access.caller} {key}") if key else uuid4()


def _present_credits(tenant: Tenant) -> dict[str, Any]:
    left = list_credits_left(tenant)
    rows = []
    for one in left:
        amounts = {"left_nanousd": one.nanousd, "left_usd": dollars(one.nanousd)}
        rows.append({**present(CreditGrantObject, one.grant), **amounts})
    total = sum(one.nanousd for one in left)
    return {"object": "credits", "left_nanousd": total, "left_usd": dollars(total), "grants": rows}
