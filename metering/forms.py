"""Fields of forms about money."""

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from core.money import NANO, usd

MILLION = 1_000_000  # prices are for so many tokens


MAX_PRICE_USD = 100_000  # of a million tokens


MAX_USD = 9_000_000  # Valkey's Lua counts exactly up to 2⁵³ only: so many nano-USD


class DollarsField(forms.DecimalField):
    """An amount that people write in dollars and Python reads in integer nano-USD."""

    default_error_messages = {
        "invalid": _("Enter an amount in dollars, such as 25 or 12.50."),
        "min_value": _("A budget must be more than $0. Leave it empty for no budget."),
        "max_value": format_lazy(_("A budget can be at most ${amount:,}."), amount=MAX_USD),
        "max_decimal_places": _("Use at most nine decimal places."),
    }

    def __init__(self, **options: Any) -> None:
        options.setdefault("min_value", Decimal(1) / NANO)
        super().__init__(max_value=MAX_USD, decimal_places=9, **options)
        self.widget.attrs |= {"step": "any", "min": 0, "inputmode": "decimal"}

    def clean(self, value: object) -> int | None:
        """Return the exact amount in nano-USD."""
        dollars = super().clean(value)
        return None if dollars is None else int(dollars * NANO)

    def prepare_value(self, value: object) -> object:
        """Return what the field shows: a stored amount in dollars, or the text as a person typed it."""
        if not isinstance(value, int):
            return value
        return usd(value).strip("$").replace(",", "")

    def has_changed(self, initial: Any, data: object) -> bool:
        """Return whether the amount in dollars differs from the stored one in nano-USD."""
        dollars = None if initial is None else Decimal(initial) / NANO
        return super().has_changed(dollars, data)


class FeeField(DollarsField):
    """An amount in dollars that may be nothing."""

    default_error_messages = {"min_value": _("A fee is $0 or more.")}

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=Decimal(0), **options)


class PriceField(forms.DecimalField):
    """A price that people write in dollars a million tokens and Python reads in integer nano-USD a token."""

    default_error_messages = {
        "invalid": _("Enter the price per million tokens in dollars, such as 0.10."),
        "min_value": _("A price must be $0 or more."),
        "max_decimal_places": _("A price per million tokens can have at most three decimal places."),
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=Decimal(0), max_value=MAX_PRICE_USD, decimal_places=3, **options)
        self.widget.attrs |= {"step": "0.001", "min": 0, "inputmode": "decimal"}

    def clean(self, value: object) -> int | None:
        """Return the exact price of one token in nano-USD."""
        dollars = super().clean(value)
        return None if dollars is None else int(dollars * NANO / MILLION)

    def prepare_value(self, value: object) -> object:
        """Return what the field shows: a stored price in dollars a million, or what a person typed."""
        return Decimal(value * MILLION) / NANO if isinstance(value, int) else value
