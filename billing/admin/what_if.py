"""The console's page "What if": a month's usage under other prices."""

from typing import Any

from django import forms
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing.what_if import BASE_MODEL_NAME, Comparison, compare_prices
from core import months
from core.money import usd
from tenants.metering import price_book
from tenants.metering.forms import PriceField

MONTHS_SHOWN = 12
ROWS_SHOWN = 300


class WhatIfForm(forms.Form):
    """A month, what is priced otherwise, and the prices in dollars a million tokens."""

    period = forms.ChoiceField(label="Month", widget=UnfoldAdminSelectWidget)
    model = forms.CharField(
        label="Model",
        required=False,
        help_text=f"A model name, or {BASE_MODEL_NAME}. Leave empty for the standard price.",
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )
    input = PriceField(label="Per million input tokens, in $", widget=UnfoldAdminDecimalFieldWidget)
    cached_input = PriceField(
        label="Per million cached input tokens, in $", widget=UnfoldAdminDecimalFieldWidget
    )
    output = PriceField(label="Per million output tokens, in $", widget=UnfoldAdminDecimalFieldWidget)
    trained = PriceField(
        label="Per million trained tokens, in $",
        required=False,
        help_text="Leave empty to keep the price at which trainings were charged.",
        widget=UnfoldAdminDecimalFieldWidget,
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        period = months.before(months.current())
        choices = []
        for _ in range(MONTHS_SHOWN):
            choices.append((period, period))
            period = months.before(period)
        self.fields["period"].choices = choices  # type: ignore[attr-defined]

    def compare(self) -> Comparison:
        """Return the month under these prices; the form is valid."""
        chosen = self.cleaned_data
        prices = (chosen["input"], chosen["cached_input"], chosen["output"])
        return compare_prices(
            chosen["period"],
            prices,
            style_name=chosen["model"].strip(),
            trained_token_nanousd=chosen["trained"],
        )


def what_if_context(request: HttpRequest) -> dict[str, object]:
    """Return the form, and the comparison once the form was sent."""
    if "period" not in request.GET:
        return {"form": WhatIfForm(initial=_present_prices())}
    form = WhatIfForm(request.GET)
    if not form.is_valid():
        return {"form": form}
    return {"form": form, "comparison": _present(form.compare())}


def _present_prices() -> dict[str, object]:
    """Return the prices of every style in the newest edition, to begin with."""
    newest = price_book.whole_editions().order_by("-effective_from").first()
    if newest is None:
        return {}
    price = newest.prices.general().get()
    return {
        "input": price.input_nanousd,
        "cached_input": price.cached_input_nanousd,
        "output": price.output_nanousd,
        "trained": newest.trained_token_nanousd,
    }


def _present(comparison: Comparison) -> dict[str, object]:
    rows = []
    for row in comparison.rows[:ROWS_SHOWN]:
        shown = {
            "model": row.style_name or "Training of styles",
            "meter": row.meter,
            "tokens": row.tokens,
            "before": usd(row.before_nanousd),
            "after": usd(row.after_nanousd),
            "difference": usd(row.after_nanousd - row.before_nanousd),
        }
        rows.append(shown)
    sums = [
        ("Usage at these prices", comparison.before_nanousd, comparison.after_nanousd),
        ("Minus included tokens", comparison.payable_before_nanousd, comparison.payable_after_nanousd),
    ]
    return {
        "period": comparison.period,
        "rows": rows,
        "more": max(0, len(comparison.rows) - ROWS_SHOWN),
        "sums": [(name, usd(before), usd(after), usd(after - before)) for name, before, after in sums],
        "missing_tokens": comparison.missing_tokens,
    }
