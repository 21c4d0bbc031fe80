"""Forms about money."""

from typing import Any, cast

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.invoices.details import FIELDS
from billing.models import BillingDetails
from metering.forms import DollarsField
from metering.request_log import OUTCOMES

type Choices = list[tuple[str, str]]

MAX_NAME = 100  # characters of a style's name or a request id


class BudgetForm(forms.Form):
    """A workspace's own budget."""

    budget = DollarsField(
        label=_("Monthly budget"),
        required=False,
        help_text=_("Requests that could exceed the budget are refused. Leave it empty for no budget."),
    )


class RequestFilterForm(forms.Form):
    """Which requests the log shows."""

    q = forms.CharField(
        label=_("Request ID"),
        max_length=MAX_NAME,
        widget=forms.TextInput({"type": "search", "placeholder": "req_…"}),
    )
    month = forms.ChoiceField(label=_("Month"))
    outcome = forms.ChoiceField(label=_("Outcome"), choices=OUTCOMES)
    style = forms.CharField(
        label=_("Style"), max_length=MAX_NAME, widget=forms.TextInput({"placeholder": "poetry"})
    )
    key = forms.ChoiceField(label=_("Key"))
    use_required_attribute = False

    def __init__(self, *args: Any, months: Choices, keys: Choices, **options: Any) -> None:
        super().__init__(*args, **options)
        cast(forms.ChoiceField, self.fields["month"]).choices = months
        cast(forms.ChoiceField, self.fields["key"]).choices = [("", gettext("All")), *keys]


class TopUpForm(forms.Form):
    """How much credit to buy. The hidden id makes one payment of a form, however often it is sent."""

    amount_nanousd = DollarsField(label=_("Amount"), help_text=_("From $5 to $10,000. Credits don't expire."))
    payment = forms.UUIDField(widget=forms.HiddenInput)


class AutoTopUpForm(forms.Form):
    """When to buy credits without asking; both empty: never."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # It stands on one page with TopUpForm, whose amount has the same name.
        options["auto_id"] = "id_auto_%s"
        super().__init__(*args, **options)

    threshold_nanousd = DollarsField(label=_("When credits fall below"), required=False)
    amount_nanousd = DollarsField(label=_("Buy credits worth"), required=False)


class BillingDetailsForm(forms.ModelForm):  # type: ignore[type-arg]
    """What stands on a workspace's invoices."""

    class Meta:
        model = BillingDetails
        fields = FIELDS
        labels = {"address": _("Address"), "tax_id": _("Tax ID")}
        widgets = {
            "name": forms.TextInput({"autocomplete": "organization"}),
            "address": forms.Textarea({"rows": 4, "autocomplete": "street-address"}),
            "tax_id": forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
            "reference": forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
        }
