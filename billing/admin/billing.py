"""Plans, adjustments, credits and payments, for operators' hands; usage and the ledger, to read."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import admin
from django.core.validators import RegexValidator
from django.db.models import Model, QuerySet, Sum
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import subscriptions
from billing.invoices import credit_notes
from billing.models import Payment
from billing.payments import payments
from core import months
from core.console import Level, ListAdmin, OperatorAdmin, OperatorForm, mark, operator_action, state_column
from core.money import usd
from metering import credits
from metering.console import AmountsInDollars, EngineFilter, LongList, PeriodFilter
from metering.models import (
    CreditBurn,
    CreditGrant,
    LedgerEntry,
    Plan,
    PlanVersion,
    Subscription,
    UsageDaily,
    UsageEvent,
)
from tenants.audit_log import describe_actor
from tenants.console import Immutable, NoDelete, ReadOnly
from tenants.models import AuditEntry


def dollars_column(field: str, title: str, *, times: int = 1) -> Callable[[Any, Any], str]:
    """Return a column that shows an amount of a row in dollars, or that of so many tokens."""

    @admin.display(description=title)
    def show(_: Any, row: Any) -> str:
        return usd(times * getattr(row, field))

    show.formatting = "price"  # type: ignore[attr-defined]  # unfold aligns such a column at its end
    return show


class ActedOnAdmin(NoDelete, OperatorAdmin):
    """Rows that the system writes. Operators act on them from the list; a row itself has nothing to edit."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and bool(super().has_change_permission(request))


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
        entry = credit_notes.adjust_month(
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


@admin.register(Payment)
class PaymentAdmin(ActedOnAdmin):
    list_display = ["__str__", "tenant", "purpose", "amount", "shown_state", "provider", "created_at"]
    list_filter = ["state", "provider", "purpose"]
    list_select_related = ["tenant"]
    search_fields = ["reference", "tenant__slug"]
    ordering = ["-created_at", "-pk"]
    described = ["tenant", "purpose", "invoice", "amount", "state", "provider", "reference"]
    fields = [*described, "failure", "begun_by", "created_at", "closed_at"]
    readonly_fields = fields
    actions = ["confirm", "reject"]
    amount = dollars_column("amount_nanousd", "amount")

    @admin.display(description="begun by")
    def begun_by(self, payment: Payment) -> str:
        """Return who began it, as long as the audit log says so; an automatic top-up nobody began."""
        entries = AuditEntry.objects.filter(action="payment.begun", object_id=str(payment.pk))
        entry = entries.select_related("actor", "api_key").first()
        if payment.purpose == Payment.Purpose.AUTO_TOP_UP:
            return "Polyscribe"
        return describe_actor(entry) if entry else "no longer known"

    @admin.display(description="state", ordering="state")
    def shown_state(self, payment: Payment) -> SafeString:
        """Return the state; an open transfer needs somebody who looks at the bank account."""
        is_transfer = payment.provider == Payment.Provider.MANUAL
        waits = payment.state == Payment.State.OPEN and is_transfer
        return mark(payment.get_state_display(), Level.SOON if waits else Level.NORMAL)

    @operator_action(
        "Confirm transfer",
        effect="The money has arrived: the workspace gets its credits. Identify the transfer in the reason.",
        done="Confirmed",
        permissions=["change"],
    )
    def confirm(self, request: HttpRequest, payment: Payment, reason: str) -> None:
        payments.confirm_transfer(payment, actor=str(request.user))

    @operator_action(
        "Reject transfer",
        effect="No money arrived: the payment is cancelled. The workspace sees the reason.",
        done="Cancelled",
        permissions=["change"],
        reader=" and shown to the workspace",
        is_danger=True,
    )
    def reject(self, request: HttpRequest, payment: Payment, reason: str) -> None:
        payments.reject_transfer(payment, reason=reason, actor=str(request.user))
