"""Invoices: to read, finalize, mark as paid, make void."""

# mypy: disallow-subclassing-any=False

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import TabularInline

from foundation.console import OperatorAdmin, operator_action
from foundation.money import usd
from tenants.admin.lists import EstimatedPaginator
from tenants.admin.permissions import NoDelete
from tenants.billing import invoices
from tenants.billing.forms import MILLION
from tenants.models import Invoice, InvoiceLine


class InvoiceLineInline(TabularInline):
    model = InvoiceLine
    fields = ["text", "quantity", "unit", "amount", "first_entry", "last_entry"]
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Invoice | None = None) -> bool:
        return False

    @admin.display(description="a million")
    def unit(self, line: InvoiceLine) -> str:
        if line.kind != InvoiceLine.Kind.USAGE or line.unit_nanousd is None:
            return ""
        return usd(MILLION * line.unit_nanousd)

    @admin.display(description="amount")
    def amount(self, line: InvoiceLine) -> str:
        return usd(line.amount_nanousd)


@admin.register(Invoice)
class InvoiceAdmin(NoDelete, OperatorAdmin):
    list_display = ["__str__", "tenant", "period", "state", "total", "plan", "finalized_at"]
    list_filter = ["state"]
    list_select_related = ["tenant"]
    search_fields = ["number", "tenant__slug", "period"]
    ordering = ["-period", "-number"]
    paginator = EstimatedPaginator
    show_full_result_count = False
    fields = [
        "tenant",
        "period",
        "number",
        "state",
        "plan",
        "total",
        "created_at",
        "finalized_at",
        "closed_at",
    ]
    readonly_fields = fields
    inlines = [InvoiceLineInline]
    actions = ["finalize", "mark_paid", "make_void"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: beat drafts the invoices of a month when it is over."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let operators with the right act on the list; an invoice itself has nothing to edit."""
        return obj is None and bool(super().has_change_permission(request))

    @admin.display(description="total")
    def total(self, invoice: Invoice) -> str:
        return usd(invoice.total_nanousd)

    @operator_action(
        "Finalize",
        effect="It gets its number and never changes again; its owners get a mail.",
        done="Finalized",
        permissions=["change"],
    )
    def finalize(self, request: HttpRequest, invoice: Invoice, reason: str) -> None:
        invoices.require_draft(invoice)
        invoices.finalize_invoice(invoice)

    @operator_action(
        "Mark as paid",
        effect="A payment of its total is written into the ledger. Name the payment in the reason.",
        done="Paid",
        permissions=["change"],
    )
    def mark_paid(self, request: HttpRequest, invoice: Invoice, reason: str) -> None:
        invoices.pay_invoice(invoice, actor=str(request.user), reason=reason)

    @operator_action(
        "Make void",
        effect="Its total is written off in the ledger, and nobody has to pay it. Its number stays taken.",
        done="Void",
        permissions=["change"],
        types_name=True,
    )
    def make_void(self, request: HttpRequest, invoice: Invoice, reason: str) -> None:
        invoices.void_invoice(invoice, actor=str(request.user), reason=reason)
