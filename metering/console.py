"""Amounts in the console: operators read and write dollars, the database holds nano-USD."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Field
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from core.money import usd
from tenants.metering.forms import DollarsField, FeeField, PriceField
from tenants.models import ApiKey, PlanVersion, Tenant

AMOUNTS: Mapping[str, tuple[type[forms.Field], str]] = {
    "monthly_nanousd": (DollarsField, "Monthly budget, in $"),
    "unpaid_cap_nanousd": (FeeField, "Unpaid usage until the first paid invoice, in $"),
    "monthly_fee_nanousd": (FeeField, "Monthly fee, in $"),
    "amount_nanousd": (DollarsField, "Amount, in $"),
    "style_month_nanousd": (FeeField, "Monthly hosting per private style, in $"),
    "trained_token_nanousd": (PriceField, "Per million trained tokens, in $"),
    "input_nanousd": (PriceField, "Per million input tokens, in $"),
    "cached_input_nanousd": (PriceField, "Per million cached input tokens, in $"),
    "output_nanousd": (PriceField, "Per million output tokens, in $"),
}


class AmountsInDollars:
    """Rows with amounts of money: operators read and write dollars."""

    def formfield_for_dbfield(self, db_field: "Field[Any, Any]", request: HttpRequest, **options: Any) -> Any:
        """Return a field in dollars for an amount."""
        if db_field.name not in AMOUNTS:
            return super().formfield_for_dbfield(db_field, request, **options)  # type: ignore[misc]
        field, label = AMOUNTS[db_field.name]
        return field(
            label=label,
            required=not db_field.null,
            initial=db_field.default if db_field.has_default() else None,
            help_text=db_field.help_text,
            widget=UnfoldAdminDecimalFieldWidget,
        )

    @admin.display(description="monthly budget")
    def budget(self, row: Tenant | PlanVersion | ApiKey) -> str:
        return "none" if row.monthly_nanousd is None else usd(row.monthly_nanousd)
