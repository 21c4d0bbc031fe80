"""Forms about money."""

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from foundation.errors import DomainError
from foundation.money import NANO, usd
from tenants.billing.details import FIELDS
from tenants.models import BillingDetails

MILLION = 1_000_000  # prices are for so many tokens
MAX_PRICE_USD = 100_000  # of a million tokens
MAX_USD = 9_000_000  # Valkey's Lua counts exactly up to 2⁵³ only: so many nano-USD


class DollarsField(forms.DecimalField):
    """An amount that people write in dollars and Python reads in integer nano-USD."""

    default_error_messages = {
        "invalid": _("Write the amount in dollars, for example 25 or 12.50."),
        "min_value": _("A budget is more than $0. Leave it empty for no budget."),
        "max_value": format_lazy(_("A budget is at most ${amount:,}."), amount=MAX_USD),
        "max_decimal_places": _("An amount has at most nine digits after the point."),
    }

    def __init__(self, **options: Any) -> None:
        options.setdefault("min_value", Decimal(1) / NANO)
        super().__init__(max_value=MAX_USD, decimal_places=9, **options)
        self.widget.attrs |= {"step": "any", "min": 0, "inputmode": "decimal"}

    def clean(self, value: Any) -> int | None:
        """Return the exact amount in nano-USD."""
        dollars = super().clean(value)
        return None if dollars is None else int(dollars * NANO)

    def prepare_value(self, value: Any) -> Any:
        """Return what the field shows: a stored amount in dollars, or the text as a person typed it."""
        if not isinstance(value, int):
            return value
        return usd(value).strip("$").replace(",", "")

    def has_changed(self, initial: Any, data: Any) -> bool:
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
        "invalid": _("Write the price of a million tokens in dollars, for example 0.10."),
        "min_value": _("A price is $0 or more."),
        "max_decimal_places": _("A price of a million tokens has at most three digits after the point."),
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=Decimal(0), max_value=MAX_PRICE_USD, decimal_places=3, **options)
        self.widget.attrs |= {"step": "0.001", "min": 0, "inputmode": "decimal"}

    def clean(self, value: Any) -> int | None:
        """Return the exact price of one token in nano-USD."""
        dollars = super().clean(value)
        return None if dollars is None else int(dollars * NANO / MILLION)

    def prepare_value(self, value: Any) -> Any:
        """Return what the field shows: a stored price in dollars a million, or what a person typed."""
        return Decimal(value * MILLION) / NANO if isinstance(value, int) else value


class BudgetForm(forms.Form):
    """A workspace's own budget."""

    budget = DollarsField(
        label=_("Budget a month"),
        required=False,
        help_text=_("A request that could pass it is refused. Empty: no budget."),
    )


class FailureForm(forms.Form):
    """A form that shows why an action refused what was filled in, beside its field."""

    def add_failure(self, error: DomainError) -> None:
        """Show an action's refusal."""
        field = error.facts.get("field")
        self.add_error(str(field) if field in self.fields else None, error.message)


class TopUpForm(FailureForm):
    """How much credit to buy. The hidden id makes one payment of a form, however often it is sent."""

    amount_nanousd = DollarsField(label=_("Amount"), help_text=_("From $5 to $10,000. They do not expire."))
    payment = forms.UUIDField(widget=forms.HiddenInput)


class AutoTopUpForm(FailureForm):
    """When to buy credits without asking; both empty: never."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # It stands on one page with TopUpForm, whose amount has the same name.
        options["auto_id"] = "id_auto_%s"
        super().__init__(*args, **options)

    threshold_nanousd = DollarsField(label=_("When less is left than"), required=False)
    amount_nanousd = DollarsField(label=_("Buy credits for"), required=False)


class BillingDetailsForm(forms.ModelForm):  # type: ignore[type-arg]
    """What stands on a workspace's invoices."""

    class Meta:
        model = BillingDetails
        fields = FIELDS
        labels = {"address": _("Address")}
        widgets = {
            "name": forms.TextInput({"autocomplete": "organization"}),
            "address": forms.Textarea({"rows": 4, "autocomplete": "street-address"}),
            "tax_id": forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
            "reference": forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
        }
