"""Shares: the workspaces that a style's owner lets use it; and other prices of a public style."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from adapters.api.addresses import StyleApiViewSet, find_style
from adapters.api.styles import AskedPricesBody, QuotedPrices
from adapters.catalog import price_changes, sharing
from adapters.catalog.terms import MAX_PERCENT, Terms
from adapters.errors import NoPriceChange, NotShared, StyleNotFound
from adapters.models import PriceChange, Share, Style
from core.rest.bodies import StrictSerializer, TextField
from metering.price_book import dollars_a_million
from tenants.rest import delete, described, get, put

MAX_SLUG = 40


class ShareObject(serializers.Serializer[Share]):
    """A style shared with another workspace."""

    object = serializers.CharField(default="share", read_only=True)
    style = serializers.UUIDField(source="style_id")  # type: ignore[assignment]
    model = serializers.CharField(source="style.model_name")
    workspace = serializers.CharField(source="tenant.slug", initial="riverside")
    workspace_name = serializers.CharField(source="tenant.name", initial="Riverside Press")
    created_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True, help_text="When access ends, once revoked.")


class ShareBody(StrictSerializer):
    """The workspace to share the style with."""

    workspace = TextField(
        max_length=MAX_SLUG,
        help_text="The workspace's slug: the part before the slash in `model`.",
        initial="riverside",
    )


class ShareViewSet(StyleApiViewSet):
    """Shares of the workspace's own styles, and its own shares of others' styles."""

    tag, resource, noun, nouns = "styles", "shares", "share", "a style's shares"
    reads = {
        "list": "Return the shares, newest first, including those under notice.",
        "retrieve": "Return a share of one of your styles, or your own share of another workspace's style.",
    }
    serializer_class = ShareObject
    new_body = ShareBody
    lookup_url_kwarg = "workspace"

    def get_queryset(self) -> QuerySet[Share]:
        return _shares().filter(style=self.own_style())

    def get_object(self, *, is_locked: bool = False) -> Share:
        """Return a share of an own style, or the caller's own share. Raises StyleNotFound or NotShared."""
        return self._find(self.kwargs["workspace"])

    @described(summary="Share a style with a workspace")
    def create(self, body: dict[str, Any]) -> Share:
        """Share a style with a workspace. A share under notice is restored."""
        share = sharing.share_style(self.access, self.own_style(), body["workspace"])
        return self._find(share.tenant.slug)

    @described(name="revoke", summary="Revoke a share", answer=ShareObject)
    def destroy(self, share: Share) -> Share:
        """Revoke a share. It ends after the notice period. With your own slug, leave a style that is shared
        with you, immediately."""
        if share.tenant_id == self.access.tenant.pk:
            sharing.leave_share(self.access, share.style)
            return share
        sharing.revoke_share(self.access, share)
        return self.get_object()

    def _find(self, slug: str) -> Share:
        style = find_style(self.access, self.kwargs["style"])
        if self.access.tenant.pk != style.owner_id and slug != self.access.tenant.slug:
            raise StyleNotFound
        share = _shares().filter(style=style, tenant__slug=slug).first()
        if share is None:
            raise NotShared(slug=slug)
        return share


def _shares() -> QuerySet[Share]:
    return Share.objects.in_force().select_related("style__owner", "tenant")


class PricesInDollars(serializers.Serializer[Any]):
    """Prices per million tokens, in dollars."""

    input = serializers.CharField(help_text="Price of input tokens.", initial="$0.50")
    cached_input = serializers.CharField(help_text="Price of cached input tokens.", initial="$0.125")
    output = serializers.CharField(help_text="Price of output tokens.", initial="$2.00")


class PriceChangeObject(serializers.Serializer[Any]):
    """A price change of a public style: requested by its owner, approved by operators, then in effect."""

    example = dict(first_day="2026-12-15")

    object = serializers.CharField(default="price_change", read_only=True)
    model = serializers.CharField(source="change.style.model_name")
    state = serializers.ChoiceField(PriceChange.State.choices, source="change.state", initial="waiting")
    prices = QuotedPrices(allow_null=True, help_text="`null` for the standard prices.")
    prices_usd = PricesInDollars(help_text="Per million tokens.")
    author_percent = serializers.IntegerField(source="change.author_percent")
    first_day = serializers.DateField(source="change.first_day", help_text="Requested start date.")
    effective_from = serializers.DateTimeField(
        source="change.effective_from", allow_null=True, help_text="Effective date, once approved."
    )
    reason = serializers.CharField(source="change.reason", help_text="Reason it was declined.", initial="")
    asked_at = serializers.DateTimeField(source="change.asked_at", help_text="When it was requested.")


class PriceChangeBody(StrictSerializer):
    """A requested price change for a public style, and its start date."""

    example = dict(first_day="2026-12-15")

    prices = AskedPricesBody(
        allow_null=True,
        help_text="Each price must be at least the standard price. `null` for the standard prices.",
    )
    author_percent = serializers.IntegerField(
        min_value=0,
        max_value=MAX_PERCENT,
        help_text="The author's percentage of what other workspaces pay, paid in credits.",
        initial=20,
    )
    first_day = serializers.DateField(help_text="UTC date, at least eight days from now.")


class PriceViewSet(StyleApiViewSet):
    """What is asked for of an own style and is not in force yet."""

    tag = "styles"
    serializer_class = PriceChangeObject

    def present(self, row: PriceChange) -> dict[str, Any]:
        return present_price_change(row)

    @get("Get the requested price", url_path="", can_conflict=True)
    def price(self, style: Style) -> PriceChange:
        """Return the pending or approved price change; 409 `no_price_change` if there is none."""
        change = price_changes.open_change(style)
        if change is None:
            raise NoPriceChange
        return change

    @put("Request a price change for a public style", url_path="", body=PriceChangeBody)
    def ask_price(self, style: Style, body: dict[str, Any]) -> PriceChange:
        """Request new prices and a share from a given date. It replaces a pending request."""
        terms = Terms(body["prices"], body["author_percent"])
        return price_changes.ask_price(self.access, style, terms, body["first_day"])

    @delete("Withdraw the price request", url_path="")
    def withdraw_price(self, style: Style) -> PriceChange:
        """Withdraw the pending request."""
        return price_changes.withdraw_price(self.access, style)


def present_price_change(change: PriceChange) -> dict[str, Any]:
    """Return a price that is asked for, or agreed, of a public style."""
    terms = price_changes.terms_of(change)
    facts = {
        "change": change,
        "prices": terms.amounts,
        "prices_usd": dollars_a_million(terms.charged),
    }
    return dict(PriceChangeObject(facts).data)
