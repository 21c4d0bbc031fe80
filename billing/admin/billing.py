"""Plans, subscriptions, adjustments; usage and the ledger, to read."""

# mypy: disallow-subclassing-any=False

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import subscriptions
from billing import adjustments
from billing.admin.base import dollars_column
from core.console import ListAdmin, OperatorAdmin, OperatorForm, state_column
from metering.console import AmountsInDollars, EngineFilter, LongList, PeriodFilter
from metering.models import LedgerEntry, Plan, PlanVersion, Subscription, UsageDaily, UsageEvent
from tenants.console import Immutable, NoDelete, ReadOnly


@admin.register(Plan)
class PlanAdmin(NoDelete, OperatorAdmin):
    list_display = ["code", "name", "is_offered"]
    search_fields = ["code", "name"]


@admin.register(PlanVersion)
class PlanVersionAdmin(Immutable, AmountsInDollars, OperatorAdmin):
    limits = ["weight", "monthly_tokens", "budget", "requests_per_minute", "tokens_per_minute"]
    list_display = ["plan", "number", "effective_from", "fee", *limits]
    list_filter = ["plan"]
    list_select_related = ["plan"]
    search_fields = ["plan__code", "plan__name"]

    fee = dollars_column("monthly_fee_nanousd", "monthly fee")


@admin.register(Subscription)
class SubscriptionAdmin(Immutable, OperatorAdmin):
    list_display = ["tenant", "plan_version", "starts_at", "ends_at"]
    list_select_related = ["tenant", "plan_version__plan"]
    search_fields = ["tenant__name", "tenant__slug"]
    autocomplete_fields = ["tenant", "plan_version"]

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Ask only for tenant and plan when adding: a new subscription begins now and ends the one before."""
        if obj is None:
            return ["tenant", "plan_version"]
        return ["tenant", "plan_version", "starts_at", "ends_at"]

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        """Subscribe the tenant, and take the new row over into the console's own object.

        A change that is scheduled is forgotten.
        """
        subscription = subscriptions.assign_plan(obj.tenant, obj.plan_version)
        obj.pk = subscription.pk
        obj.starts_at = subscription.starts_at


@admin.register(UsageEvent)
class UsageEventAdmin(LongList, ReadOnly, ListAdmin):
    used = ["prompt_tokens", "completion_tokens", "shown_outcome", "cost", "admitted_at"]
    list_display = ["request_id", "tenant", "style_name", "version_number", *used]
    list_filter = ["outcome", PeriodFilter, EngineFilter]
    list_select_related = ["tenant"]
    search_fields = ["request_id", "tenant__slug"]
    ordering = ["-admitted_at", "-pk"]

    cost = dollars_column("cost_nanousd", "cost")
    shown_outcome = state_column("outcome", faults=["upstream_error"])


class AdjustmentForm(OperatorForm):
    """A new entry of the ledger: an adjustment of this month."""

    effect = forms.ChoiceField(
        label="The workspace",
        choices=[("less", "owes less"), ("more", "owes more")],
        widget=UnfoldAdminSelectWidget,
        help_text="Added to this month's invoice as a line with the text below.",
    )
    reason = forms.CharField(label="Text on the invoice", max_length=200, widget=UnfoldAdminTextInputWidget)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(LongList, Immutable, AmountsInDollars, OperatorAdmin):
    form = AdjustmentForm
    readonly_fields = ["amount"]
    autocomplete_fields = ["tenant"]
    list_display = ["created_at", "tenant", "kind", "amount", "tokens", "period", "source_id", "reason"]
    list_filter = ["kind", PeriodFilter]
    list_select_related = ["tenant"]
    search_fields = ["source_id", "tenant__slug"]
    ordering = ["-period", "-pk"]
    id_field = "source_id"
    # The unique index is (kind, source_id): PostgreSQL uses it only if the query names kinds too.
    id_filter = {"kind__in": LedgerEntry.Kind.values}
    amount = dollars_column("amount_nanousd", "amount")

    def get_fields(self, request: HttpRequest, obj: LedgerEntry | None = None) -> list[str]:
        """Ask for an adjustment, the only kind that operators write here; show all of an entry."""
        if obj is None:
            return ["tenant", "effect", "amount_nanousd", "reason"]
        booked = ["tenant", "kind", "source_id", "period", "amount", "tokens"]
        return [*booked, "actor", "reason", "created_at"]

    def save_model(self, request: HttpRequest, obj: LedgerEntry, form: Any, change: bool) -> None:
        """Adjust this month, and take the new row over into the console's own object."""
        sign = -1 if form.cleaned_data["effect"] == "less" else 1
        entry = adjustments.adjust_month(
            obj.tenant, sign * obj.amount_nanousd, reason=obj.reason, actor=str(request.user)
        )
        obj.pk = entry.pk
        obj.kind = entry.kind
        obj.source_id = entry.source_id


@admin.register(UsageDaily)
class UsageDailyAdmin(LongList, ReadOnly, ListAdmin):
    used = ["requests", "prompt_tokens", "completion_tokens", "cost"]
    list_display = ["day", "tenant", "key", "style_name", *used]
    list_filter = ["day"]
    list_select_related = ["tenant", "key"]
    search_fields = ["style_name", "tenant__slug"]
    ordering = ["-day", "-pk"]
    id_field = "style_name"

    cost = dollars_column("cost_nanousd", "cost")
