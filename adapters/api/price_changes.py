"""Other prices of a public style: its owner asks for them, operators agree."""

from typing import Any, ClassVar

from rest_framework import serializers

from adapters import actions
from adapters.api.addresses import StyleApiViewSet
from adapters.api.styles import AskedPricesBody, QuotedPrices
from adapters.catalog import price_changes
from adapters.catalog.terms import AMOUNTS, MAX_PERCENT, Terms
from adapters.errors import NoPriceChange
from adapters.models import PriceChange, Style
from core.money import usd
from core.rest.bodies import StrictSerializer
from metering.forms import MILLION
from tenants.rest import delete, get, put


class PricesInDollars(serializers.Serializer[Any]):
    """Prices per million tokens, in dollars."""

    input = serializers.CharField()
    cached_input = serializers.CharField()
    output = serializers.CharField()


class PriceChangeObject(serializers.Serializer[Any]):
    """A price change of a public style: requested by its owner, approved by operators, then in effect."""

    example: ClassVar[dict[str, Any]] = {
        "object": "price_change",
        "model": "acme/brand-voice",
        "state": "waiting",
        "prices": {"input_nanousd": 600, "cached_input_nanousd": 150, "output_nanousd": 2400},
        "prices_usd": {"input": "$0.60", "cached_input": "$0.15", "output": "$2.40"},
        "author_percent": 25,
        "first_day": "2026-12-15",
        "effective_from": None,
        "reason": "",
        "asked_at": "2026-11-26T09:30:00Z",
    }

    object = serializers.CharField(default="price_change", read_only=True)
    model = serializers.CharField(source="change.style.model_name")
    state = serializers.ChoiceField(PriceChange.State.choices, source="change.state")
    prices = QuotedPrices(allow_null=True, help_text="`null` for the standard prices.")
    prices_usd = PricesInDollars(help_text="Per million tokens.")
    author_percent = serializers.IntegerField(source="change.author_percent")
    first_day = serializers.DateField(source="change.first_day", help_text="Requested start date.")
    effective_from = serializers.DateTimeField(
        source="change.effective_from", allow_null=True, help_text="Effective date, once approved."
    )
    reason = serializers.CharField(source="change.reason", help_text="Reason it was declined.")
    asked_at = serializers.DateTimeField(source="change.asked_at")


class PriceChangeBody(StrictSerializer):
    """A requested price change for a public style, and its start date."""

    example: ClassVar = {
        "prices": {"input_nanousd": 600, "cached_input_nanousd": 150, "output_nanousd": 2400},
        "author_percent": 25,
        "first_day": "2026-12-15",
    }

    prices = AskedPricesBody(
        allow_null=True,
        help_text="Each price must be at least the standard price. `null` for the standard prices.",
    )
    author_percent = serializers.IntegerField(
        min_value=0,
        max_value=MAX_PERCENT,
        help_text="The author's percentage of what other workspaces pay, paid in credits.",
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
        return actions.ask_price(self.access, style, terms, body["first_day"])

    @delete("Withdraw the price request", url_path="")
    def withdraw_price(self, style: Style) -> PriceChange:
        """Withdraw the pending request."""
        return actions.withdraw_price(self.access, style)


def present_price_change(change: PriceChange) -> dict[str, Any]:
    """Return a price that is asked for, or agreed, of a public style."""
    terms = price_changes.terms_of(change)
    written = dict(zip(("input", "cached_input", "output"), terms.charged, strict=True))
    facts = {
        "change": change,
        "prices": dict(zip(AMOUNTS, terms.amounts, strict=True)) if terms.amounts else None,
        "prices_usd": {name: usd(MILLION * amount) for name, amount in written.items()},
    }
    return dict(PriceChangeObject(facts).data)
