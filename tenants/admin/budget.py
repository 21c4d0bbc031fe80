"""Budgets in the console: operators read and write dollars, the database holds nano-USD."""

from typing import Any

from django.contrib import admin
from django.db.models import Field
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from foundation.money import usd
from tenants.billing.forms import DollarsField
from tenants.models import ApiKey, PlanVersion, Tenant


class BudgetInDollars:
    """Rows with a budget in `monthly_nanousd`."""

    def formfield_for_dbfield(self, db_field: "Field[Any, Any]", request: HttpRequest, **options: Any) -> Any:
        """Return a field in dollars for the budget."""
        if db_field.name != "monthly_nanousd":
            return super().formfield_for_dbfield(db_field, request, **options)  # type: ignore[misc]
        return DollarsField(
            label="Budget a month, in $",
            required=False,
            help_text=db_field.help_text,
            widget=UnfoldAdminDecimalFieldWidget,
        )

    @admin.display(description="budget a month")
    def budget(self, row: Tenant | PlanVersion | ApiKey) -> str:
        return "none" if row.monthly_nanousd is None else usd(row.monthly_nanousd)
