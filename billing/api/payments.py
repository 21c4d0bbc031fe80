"""Credits and payments: what is left, top-ups, automatic ones; earnings of public styles."""

from typing import Any, ClassVar
from uuid import UUID, uuid4, uuid5

from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from billing import author_shares
from billing.models import Payment, PaymentAccount
from billing.payments import auto_top_up, payments, providers
from billing.payments.auto_top_up import list_credits_left
from core import months
from core.money import dollars
from core.rest.bodies import StrictSerializer, TextField
from core.rest.objects import AmountField, DollarsField, MessageText, present
from metering.models import CreditGrant
from tenants.access import Access
from tenants.models import Scope
from tenants.rest import WorkspaceViewSet, described, get, post
from tenants.roles import Permission


class CreditGrantObject(serializers.Serializer[CreditGrant]):
    """A credit grant, which pays for usage beyond the plan's included tokens."""

    example: ClassVar[dict[str, Any]] = dict(last_period=None)

    id = serializers.IntegerField(initial=7)
    object = serializers.CharField(default="credit_grant", read_only=True)
    source = serializers.ChoiceField(CreditGrant.Source.choices, initial="top_up")  # type: ignore[assignment]  # a field named so
    amount_nanousd = serializers.IntegerField(initial=25_000_000_000)
    amount_usd = AmountField("amount_nanousd")
    first_period = serializers.CharField(help_text="The month in which it was granted.")
    last_period = serializers.SerializerMethodField()
    reason = MessageText(initial="Top-up PAY-9B1DEB4D")
    created_at = serializers.DateTimeField()

    def get_last_period(self, grant: CreditGrant) -> str | None:
        """Return the month at whose end (UTC) it expires; null: it never does."""
        return grant.last_period or None


class PaymentObject(serializers.Serializer[Payment]):
    """A payment."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="payment", read_only=True)
    number = serializers.CharField(
        source="__str__", help_text="Payment reference for a bank transfer.", initial="PAY-9B1DEB4D"
    )
    purpose = serializers.ChoiceField(Payment.Purpose.choices, initial="top_up")
    invoice = serializers.UUIDField(source="invoice_id", allow_null=True)
    amount_nanousd = serializers.IntegerField(initial=25_000_000_000)
    amount_usd = AmountField("amount_nanousd")
    state = serializers.ChoiceField(Payment.State.choices, initial="open")
    provider = serializers.ChoiceField(Payment.Provider.choices, initial="stripe")
    url = serializers.SerializerMethodField(
        help_text="URL of the payment page, while the payment is open.",
        initial="https://checkout.stripe.com/c/pay/cs_live_a1",
    )
    failure = MessageText()
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)

    def get_url(self, payment: Payment) -> str | None:
        """Return where to pay; null once there is nothing to pay."""
        return payment.url if payment.url and payment.state == Payment.State.OPEN else None


class LeftObject(CreditGrantObject):
    """A credit grant and its remaining amount."""

    left_nanousd = serializers.IntegerField(initial=21_500_000_000)
    left_usd = serializers.CharField()


class CreditsObject(serializers.Serializer[Any]):
    """The credits available this month, in the order in which they are used."""

    object = serializers.CharField(default="credits", read_only=True)
    left_nanousd = serializers.IntegerField(initial=21_500_000_000)
    left_usd = DollarsField(source="left_nanousd")
    grants = LeftObject(many=True, help_text="The credit grants, each with its remaining amount.")


class TopUpBody(StrictSerializer):
    """The amount to buy."""

    amount_nanousd = serializers.IntegerField(
        min_value=payments.MIN_TOP_UP_NANOUSD,
        max_value=payments.MAX_TOP_UP_NANOUSD,
        help_text="Amount to pay, in billionths of a dollar.",
        initial=25_000_000_000,
    )


class AutoTopUpBody(StrictSerializer):
    """The automatic top-up settings. Set both to `null` to turn it off."""

    threshold_nanousd = serializers.IntegerField(
        min_value=1, max_value=payments.MAX_TOP_UP_NANOUSD, allow_null=True, initial=5_000_000_000
    )
    amount_nanousd = serializers.IntegerField(
        min_value=payments.MIN_TOP_UP_NANOUSD,
        max_value=payments.MAX_TOP_UP_NANOUSD,
        allow_null=True,
        initial=25_000_000_000,
    )


class AutoTopUpObject(serializers.Serializer[PaymentAccount]):
    """The automatic top-up settings. Top-ups charge the saved card."""

    object = serializers.CharField(default="auto_top_up", read_only=True)
    threshold_nanousd = serializers.IntegerField(
        allow_null=True,
        help_text="Top up when credits fall below this. `null` for never.",
        initial=5_000_000_000,
    )
    amount_nanousd = serializers.IntegerField(allow_null=True, initial=25_000_000_000)
    is_paused = serializers.SerializerMethodField(
        help_text="The card was declined too often. Save it again.", initial=False
    )
    retry_at = serializers.DateTimeField(allow_null=True, help_text="No automatic top-up before this time.")

    def get_is_paused(self, account: PaymentAccount) -> bool:
        """Return whether no further attempts are made."""
        return providers.is_paused(account)


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
    reads = {"retrieve": ("Return the settings.", {"name": "auto_top_up"})}
    serializer_class = AutoTopUpObject
    body = AutoTopUpBody

    def get_object(self, *, is_locked: bool = False) -> PaymentAccount:
        return payments.account_of(super().get_object(is_locked=is_locked))

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


DEFAULT_MONTHS = 12


class EarnedTotal(serializers.Serializer[Any]):
    """What was earned in all."""

    requests = serializers.IntegerField(initial=4210)
    tokens = serializers.IntegerField(initial=1_870_000)
    share_nanousd = serializers.IntegerField(
        help_text="From usage that other workspaces paid for. Excludes included tokens, promotional "
        "credits, unpaid invoices and workspaces with a member in common. Updated every five "
        "minutes.",
        initial=2_040_000_000,
    )
    share_usd = DollarsField(source="share_nanousd")


class EarnedObject(EarnedTotal):
    """A style's earnings in a month."""

    period = serializers.CharField(initial="2026-10")
    style_id = serializers.UUIDField(help_text="Id of the style.")
    style = serializers.CharField(source="style_name", help_text="The model's name.")  # type: ignore[assignment]


class EarningsObject(serializers.Serializer[Any]):
    """The author's shares for a range of months, newest first, and the payouts in that range."""

    example = dict(
        payouts=[
            dict(
                source="author_share",
                amount_nanousd=2_040_000_000,
                reason="Author's share of usage up to the end of 2026-10",
            )
        ]
    )

    object = serializers.CharField(default="earnings", read_only=True)
    first_period = serializers.CharField(initial="2025-12")
    last_period = serializers.CharField(initial="2026-11")
    data = EarnedObject(many=True)  # type: ignore[assignment]  # a field named so
    total = EarnedTotal()
    unpaid_nanousd = serializers.IntegerField(help_text="Total earned so far but not paid out.", initial=0)
    unpaid_usd = DollarsField(source="unpaid_nanousd", help_text="The same, in dollars.")
    payouts = CreditGrantObject(many=True, help_text="Paid as credits.")


class EarningsQuery(StrictSerializer):
    """Which months (UTC)."""

    first_period = TextField(
        required=False, max_length=7, help_text="First month, such as 2026-01. Default: 11 months ago."
    )
    last_period = TextField(
        required=False, max_length=7, help_text="Last month, such as 2026-11. Default: this month."
    )


class EarningsViewSet(WorkspaceViewSet):
    """Earnings."""

    tag = "earnings"
    scope = Scope.BILLING_READ
    serializer_class = EarningsObject

    @get("Get earnings by month and style", name="get", detail=False, url_path="", query=EarningsQuery)
    def earnings(self, query: dict[str, str]) -> dict[str, object]:
        """Return what the workspace's public styles earned in up to 36 months, by default the last 12."""
        author = self.access.tenant
        last = query.get("last_period") or months.period_of(timezone.now())
        first = query.get("first_period") or author_shares.months_before(last, DEFAULT_MONTHS - 1)
        span = author_shares.make_span(first, last)
        earned = author_shares.earnings_of(author.pk, span)
        return {
            "first_period": span.first_period,
            "last_period": span.last_period,
            "data": earned,
            "total": {
                "requests": sum(row.requests for row in earned),
                "tokens": sum(row.tokens for row in earned),
                "share_nanousd": sum(row.share_nanousd for row in earned),
            },
            "unpaid_nanousd": author_shares.unpaid_nanousd(author.pk, until=months.current()),
            "payouts": author_shares.payouts_of(author.pk, span),
        }
