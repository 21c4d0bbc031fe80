"""Other prices of a public style: its owner asks for them, operators agree."""

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from adapters import actions
from adapters.api.addresses import StyleAddress, find_own_style
from adapters.api.bodies import PriceChangeBody
from adapters.api.examples import PRICE_CHANGE_EXAMPLE
from adapters.api.presenters import PriceChangeObject, present_price_change
from adapters.api.views import StyleApiView, read_operation, write_operation
from adapters.catalog import price_changes
from adapters.catalog.terms import Terms
from adapters.errors import NoPriceChange


class PriceView(StyleApiView):
    """What is asked for of an own style and is not in force yet."""

    @read_operation(
        "styles.price",
        "Get the requested price",
        answer=PriceChangeObject,
        can_conflict=True,
        example=PRICE_CHANGE_EXAMPLE,
        tag="styles",
    )
    def get(self, request: Request, style: StyleAddress) -> Response:
        """Return the pending or approved price change; 409 `no_price_change` if there is none."""
        change = price_changes.open_change(find_own_style(self.access, style))
        if change is None:
            raise NoPriceChange
        return self.answer_object(present_price_change(change))

    @write_operation(
        "styles.ask_price",
        "Request a price change for a public style",
        body=PriceChangeBody,
        answer=PriceChangeObject,
        example=PRICE_CHANGE_EXAMPLE,
        body_example={
            "prices": {"input_nanousd": 600, "cached_input_nanousd": 150, "output_nanousd": 2400},
            "author_percent": 25,
            "first_day": "2026-12-15",
        },
        is_change=True,
        tag="styles",
    )
    @transaction.atomic
    def put(self, request: Request, style: StyleAddress) -> Response:
        """Request new prices and a share from a given date. It replaces a pending request."""
        own = find_own_style(self.access, style)
        body = self.read_body(PriceChangeBody)
        terms = Terms(body["prices"], body["author_percent"])
        change = actions.ask_price(self.access, own, terms, body["first_day"])
        return self.answer_object(present_price_change(change))

    @write_operation(
        "styles.withdraw_price",
        "Withdraw the price request",
        answer=PriceChangeObject,
        example=PRICE_CHANGE_EXAMPLE,
        is_change=True,
        tag="styles",
    )
    @transaction.atomic
    def delete(self, request: Request, style: StyleAddress) -> Response:
        """Withdraw the pending request."""
        change = actions.withdraw_price(self.access, find_own_style(self.access, style))
        return self.answer_object(present_price_change(change))
