"""Credits: what operators grant, and what invoices burned of it."""

# mypy: disallow-subclassing-any=False

from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import admin
from django.core.validators import RegexValidator
from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing.admin.base import dollars_column
from core import months
from core.console import OperatorAdmin, OperatorForm
from metering import credits
from metering.console import AmountsInDollars
from metering.models import CreditBurn, CreditGrant
from tenants.console import Immutable, ReadOnly

Source = CreditGrant.Source
BY_OPERATORS = [(Source.PROMOTION, Source.PROMOTION.label), (Source.GOODWILL, Source.GOODWILL.label)]


class CreditGrantForm(OperatorForm):
    """A new grant. Payments and author's shares make their own."""

    source = forms.ChoiceField(choices=BY_OPERATORS, widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(required=False, max_length=200, widget=UnfoldAdminTextInputWidget)
    last_period = forms.CharField(
        label="Valid through",
        required=False,
        validators=[RegexValidator(r"^\d{4}-(0[1-9]|1[0-2])$", "Use the form 2026-11.")],
        help_text="Such as 2026-11: credits expire at the end of that month (UTC). Leave empty for no "
        "expiration.",
        widget=UnfoldAdminTextInputWidget,
    )

    def clean_last_period(self) -> str:
        """Refuse a month that is over."""
        last_period: str = self.cleaned_data["last_period"]
        if last_period and last_period < months.current():
            raise forms.ValidationError(f"Must be {months.current()} or later.")
        return last_period


class CreditBurnInline(ReadOnly, TabularInline):
    model = CreditBurn
    fields = ["period", "invoice", "amount", "created_at"]
    readonly_fields = fields
    extra = 0
    amount = dollars_column("amount_nanousd", "amount")


@admin.register(CreditGrant)
class CreditGrantAdmin(Immutable, AmountsInDollars, OperatorAdmin):
    form = CreditGrantForm
    list_display = ["tenant", "amount", "burned", "source", "first_period", "last_period", "reason", "actor"]
    list_filter = ["source"]
    list_select_related = ["tenant"]
    search_fields = ["source_id", "tenant__slug"]
    autocomplete_fields = ["tenant"]
    ordering = ["-pk"]
    readonly_fields = ["amount", "burned"]
    amount = dollars_column("amount_nanousd", "amount")
    burned = dollars_column("burned_nanousd", "used or expired")

    def get_fields(self, request: HttpRequest, obj: CreditGrant | None = None) -> list[str]:
        """Ask for what an operator decides; the workspace reads the reason on its invoices."""
        if obj is None:
            return ["tenant", "amount_nanousd", "source", "priority", "last_period", "reason"]
        granted = ["tenant", "amount", "burned", "source", "source_id", "priority"]
        return [*granted, "first_period", "last_period", "reason", "actor", "created_at"]

    def get_inlines(self, request: HttpRequest, obj: CreditGrant | None) -> list[Any]:
        """Show the burns of a grant that is there."""
        return [] if obj is None else [CreditBurnInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CreditGrant]:
        """Return the grants with what was burned of each."""
        grants: QuerySet[CreditGrant] = super().get_queryset(request)
        return grants.annotate(burned_nanousd=Sum("burns__amount_nanousd", default=0))

    def save_model(self, request: HttpRequest, obj: CreditGrant, form: Any, change: bool) -> None:
        """Grant, and take the new row over into the console's own object."""
        grant = credits.grant_credit(
            obj.tenant,
            obj.amount_nanousd,
            source=obj.source,
            source_id=f"console {uuid4()}",
            reason=obj.reason,
            actor=str(request.user),
            priority=obj.priority,
            last_period=obj.last_period,
        )
        obj.pk = grant.pk
        obj.source_id = grant.source_id
