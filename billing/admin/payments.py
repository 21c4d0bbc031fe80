"""Payments: to read, and those by transfer to confirm or reject."""

# mypy: disallow-subclassing-any=False

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from billing.models import Payment
from billing.payments import payments
from core.console import OperatorAdmin, operator_action
from core.money import usd
from tenants.console import NoDelete


@admin.register(Payment)
class PaymentAdmin(NoDelete, OperatorAdmin):
    list_display = ["__str__", "tenant", "purpose", "amount", "state", "provider", "created_at"]
    list_filter = ["state", "provider", "purpose"]
    list_select_related = ["tenant"]
    search_fields = ["reference", "tenant__slug"]
    ordering = ["-created_at", "-pk"]
    fields = [
        "tenant", "purpose", "invoice", "amount", "state", "provider", "reference", "failure", "actor",
        "created_at", "closed_at",
    ]  # fmt: skip
    readonly_fields = fields
    actions = ["confirm", "reject"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: workspaces begin payments."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let operators with the right act on the list; a payment itself has nothing to edit."""
        return obj is None and bool(super().has_change_permission(request))

    @admin.display(description="amount")
    def amount(self, payment: Payment) -> str:
        return usd(payment.amount_nanousd)

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
        effect="No money arrived: the payment is canceled. The workspace sees the reason.",
        done="Canceled",
        permissions=["change"],
        reader=" and shown to the workspace",
        is_danger=True,
    )
    def reject(self, request: HttpRequest, payment: Payment, reason: str) -> None:
        payments.reject_transfer(payment, reason=reason, actor=str(request.user))
