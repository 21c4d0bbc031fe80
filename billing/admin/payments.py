"""Payments: to read, and those by transfer to confirm or reject."""

# mypy: disallow-subclassing-any=False

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from billing.admin.base import ActedOnAdmin, dollars_column
from billing.models import Payment
from billing.payments import payments
from core.console import Level, mark, operator_action


@admin.register(Payment)
class PaymentAdmin(ActedOnAdmin):
    list_display = ["__str__", "tenant", "purpose", "amount", "shown_state", "provider", "created_at"]
    list_filter = ["state", "provider", "purpose"]
    list_select_related = ["tenant"]
    search_fields = ["reference", "tenant__slug"]
    ordering = ["-created_at", "-pk"]
    described = ["tenant", "purpose", "invoice", "amount", "state", "provider", "reference"]
    fields = [*described, "failure", "actor", "created_at", "closed_at"]
    readonly_fields = fields
    actions = ["confirm", "reject"]
    amount = dollars_column("amount_nanousd", "amount")

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
