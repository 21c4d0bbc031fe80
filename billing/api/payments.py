"""Credits and payments: what is left, top-ups, automatic ones."""

from typing import Any, ClassVar
from uuid import UUID, uuid4, uuid5

from rest_framework import serializers
from rest_framework.response import Response

from billing.api.presenters import CreditGrantObject, PaymentObject
from billing.credit_balance import list_credits_left
from billing.models import Payment, PaymentAccount
from billing.payments import auto_top_up, backoff, payments
from core.money import dollars
from core.rest.bodies import StrictSerializer
from core.rest.objects import DollarsField, present
from tenants.access import Access
from tenants.models import Scope
from tenants.rest import WorkspaceViewSet, described, get, post
from tenants.roles import Permission


class LeftObject(CreditGrantObject):
    """A credit grant and its remaining amount."""

    left_nanousd = serializers.IntegerField()
    left_usd = serializers.CharField()


class CreditsObject(serializers.Serializer[Any]):
    """The credits available this month, in the order in which they are used."""

    example: ClassVar = {
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

    object = serializers.CharField(default="credits", read_only=True)
    left_nanousd = serializers.IntegerField()
    left_usd = DollarsField(source="left_nanousd")
    grants = LeftObject(many=True)


class TopUpBody(StrictSerializer):
    """The amount to buy."""

    example: ClassVar = {"amount_nanousd": 25_000_000_000}

    amount_nanousd = serializers.IntegerField(
        min_value=payments.MIN_TOP_UP_NANOUSD,
        max_value=payments.MAX_TOP_UP_NANOUSD,
        help_text="Must be in whole cents.",
    )


class AutoTopUpBody(StrictSerializer):
    """The automatic top-up settings. Set both to `null` to turn it off."""

    example: ClassVar = {"threshold_nanousd": 5_000_000_000, "amount_nanousd": 25_000_000_000}

    threshold_nanousd = serializers.IntegerField(
        min_value=1, max_value=payments.MAX_TOP_UP_NANOUSD, allow_null=True
    )
    amount_nanousd = serializers.IntegerField(
        min_value=payments.MIN_TOP_UP_NANOUSD, max_value=payments.MAX_TOP_UP_NANOUSD, allow_null=True
    )


class AutoTopUpObject(serializers.Serializer[PaymentAccount]):
    """The automatic top-up settings. Top-ups charge the saved card."""

    example: ClassVar = {
        "object": "auto_top_up",
        "threshold_nanousd": 5_000_000_000,
        "amount_nanousd": 25_000_000_000,
        "is_paused": False,
        "retry_at": None,
    }

    object = serializers.CharField(default="auto_top_up", read_only=True)
    threshold_nanousd = serializers.IntegerField(allow_null=True, help_text="Null: never.")
    amount_nanousd = serializers.IntegerField(allow_null=True)
    is_paused = serializers.SerializerMethodField(help_text="The card was declined too often. Save it again.")
    retry_at = serializers.DateTimeField(allow_null=True, help_text="No automatic top-up before this time.")

    def get_is_paused(self, account: PaymentAccount) -> bool:
        """Return whether no further attempts are made."""
        return backoff.is_paused(account)


class CreditViewSet(WorkspaceViewSet):
    """The workspace's credits, and more of them."""

    tag = "billing"
    scope, read_scope, needs = Scope.ADMIN, Scope.BILLING_READ, Permission.MANAGE_BILLING
    serializer_class = CreditsObject

    @get("Get the credit balance", detail=False)
    def credits(self) -> Response:
        """Return the grants available this month, except fully used ones."""
        left = list_credits_left(self.access.tenant)
        grants = []
        for one in left:
            amounts = {"left_nanousd": one.nanousd, "left_usd": dollars(one.nanousd)}
            grants.append({**present(CreditGrantObject, one.grant), **amounts})
        total = sum(one.nanousd for one in left)
        amounts = {"left_nanousd": total, "left_usd": dollars(total)}
        return Response({"object": "credits", **amounts, "grants": grants})

    @post(
        "Buy credits",
        detail=False,
        url_path="top-ups",
        body=TopUpBody,
        answer=PaymentObject,
        status=201,
        is_repeatable=True,
    )
    def top_up(self, body: dict[str, int]) -> Payment:
        """Start a payment, to be paid at its `url` or by bank transfer. Requires an owner or a key with
        `admin`."""
        payment_id = _payment_id(self.access, self.request.headers.get("Idempotency-Key"))
        return payments.begin_top_up(body["amount_nanousd"], by=self.access, payment_id=payment_id)


class AutoTopUpViewSet(WorkspaceViewSet):
    """Automatic top-ups."""

    tag, noun = "billing", "the automatic top-up settings"
    scope, read_scope, needs = Scope.ADMIN, Scope.BILLING_READ, Permission.MANAGE_BILLING
    serializer_class = AutoTopUpObject
    body = AutoTopUpBody

    def get_object(self, *, is_locked: bool = False) -> PaymentAccount:
        return payments.account_of(super().get_object(is_locked=is_locked))

    @described(name="auto_top_up")
    def retrieve(self, account: PaymentAccount) -> PaymentAccount:
        """Return the settings."""
        return account

    @described(name="set_auto_top_up")
    def update(self, account: PaymentAccount, body: dict[str, int | None]) -> PaymentAccount:
        """Update the settings. The card of the last payment is charged. Requires an owner or a key with
        `admin`."""
        return auto_top_up.set_auto_top_up(**body, by=self.access)


class PaymentViewSet(WorkspaceViewSet):
    """Payments."""

    tag, resource, noun, nouns = "billing", "payments", "payment", "payments"
    scope = Scope.BILLING_READ
    reads = {
        "list": "Return top-ups and invoice payments, newest first.",
        "retrieve": "Return a payment in its last known state.",
    }
    queryset = Payment.objects.all()
    serializer_class = PaymentObject
    lookup_url_kwarg = "payment_id"


def _payment_id(access: Access, key: str | None) -> UUID:
    """Return the id of a payment: the same one for the same Idempotency-Key of the same caller."""
    return uuid5(access.tenant.pk, f"{access.caller} {key}") if key else uuid4()
