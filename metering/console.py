"""Consoles of metered rows: amounts in dollars (the database holds nano-USD), and long lists."""

# mypy: disallow-subclassing-any=False

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from core import months
from core.money import usd
from metering.forms import DollarsField, FeeField, PriceField
from metering.models import LedgerEntry, PlanVersion, UsageEvent
from tenants.console import ValueFilter
from tenants.models import ApiKey, Tenant

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


class PeriodFilter(admin.SimpleListFilter):
    """Months since the first ledger entry."""

    title = "period"
    parameter_name = "period"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, str]]:
        first = LedgerEntry.objects.order_by("period").values_list("period", flat=True).first()
        if first is None:
            return
        period = months.current()
        while period >= first:
            yield period, period
            period = months.before(period)

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        period = self.value()
        if not period:
            return rows
        if rows.model is UsageEvent:  # each month is a partition
            return rows.filter(period=period)
        # A range: with `=` PostgreSQL leaves the period out of the order, and walks the primary key until it
        # meets that month.
        return rows.filter(period__range=(period, period))


class EngineFilter(ValueFilter):
    """Engines that served any request."""

    title = "engine"
    parameter_name = "engine"
    model = UsageEvent


class LongList:
    """A list that operators search by whole words: an id, or a workspace's short name."""

    search_help_text = "A complete id or workspace short name"
    sortable_by = ()  # another order than the list's own has no index
    id_field = "request_id"
    id_filter: Mapping[str, Any] = {}  # what else the query must name to use the id's index

    def get_search_results(
        self, request: HttpRequest, rows: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows of one id, else those of one workspace: each by its index."""
        term = term.strip()
        if not term:
            return rows, False
        by_id = rows.filter(**{self.id_field: term}, **self.id_filter)
        if by_id.exists():
            return by_id, False
        # By its id: PostgreSQL plans with what it knows of this workspace, and not of an average one.
        tenant_id = Tenant.objects.filter(slug=term.lower()).values_list("pk", flat=True).first()
        return rows.filter(tenant=tenant_id) if tenant_id else rows.none(), False
