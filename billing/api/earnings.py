"""What the workspace's public styles earn by other workspaces' usage, and what was paid out of it."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from billing import author_shares
from billing.api.payments import CreditGrantObject
from core import months
from core.rest.bodies import StrictSerializer, TextField
from core.rest.objects import DollarsField
from tenants.models import Scope
from tenants.rest import WorkspaceViewSet, get

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
