"""Invoices: to read, finalize, mark as paid, make void."""

# mypy: disallow-subclassing-any=False

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from unfold.admin import TabularInline
from unfold.decorators import action

from billing.admin.billing import ActedOnAdmin, dollars_column
from billing.invoices import credit_notes, invoices
from billing.models import CreditNote
from core.console import OperatorAdmin, OperatorForm, operator_action, state_column
from core.errors import DomainError
from core.money import usd
from metering.console import AmountsInDollars
from metering.forms import MILLION
from metering.models import Invoice, InvoiceLine
from tenants.console import Immutable, ReadOnly


class InvoiceLineInline(ReadOnly, TabularInline):
    model = InvoiceLine
    fields = ["text", "quantity", "unit", "amount", "first_entry", "last_entry"]
    amount = dollars_column("amount_nanousd", "amount")

    @admin.display(description="per million")
    def unit(self, line: InvoiceLine) -> str:
        if line.kind not in InvoiceLine.METERED or line.unit_nanousd is None:
            return ""
        return usd(MILLION * line.unit_nanousd)


@admin.register(Invoice)
class InvoiceAdmin(ActedOnAdmin):
    list_display = ["__str__", "tenant", "period", "shown_state", "total", "plan", "finalized_at"]
    list_filter = ["state"]
    list_select_related = ["tenant"]
    search_fields = ["number", "tenant__slug", "period"]
    ordering = ["-period", "-number"]
    fields = ["tenant", "period", "state", "plan", "total", "created_at", "finalized_at", "closed_at"]
    readonly_fields = fields
    inlines = [InvoiceLineInline]
    actions = ["finalize", "mark_paid", "make_void"]
    actions_detail = ["credit"]
    total = dollars_column("total_nanousd", "total")
    shown_state = state_column("state")

    def has_credit_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("billing.add_creditnote")

    @action(description="Credit note", url_path="credit-note", permissions=["credit"])  # type: ignore[untyped-decorator]
    def credit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Open a new credit note of what is left of this invoice, in the way that its state allows."""
        invoice = get_object_or_404(Invoice, pk=object_id)
        settlement = CreditNote.Settlement.OWED
        if invoice.state == Invoice.State.PAID:
            settlement = CreditNote.Settlement.CREDITS
        left = invoice.total_nanousd - credit_notes.credited_nanousd(invoice)
        try:
            credit_notes.check_credit_note(invoice, left, settlement)
        except DomainError as error:
            messages.error(request, error.message)
            return redirect("admin:metering_invoice_change", object_id)
        dollars = usd(left).strip("$").replace(",", "")
        query = {"invoice": object_id, "amount_nanousd": dollars, "settlement": settlement.value}
        return redirect(f"{reverse('admin:billing_creditnote_add')}?{urlencode(query)}")

    @operator_action(
        "Finalize",
        effect="The invoice gets its number and can no longer be changed. The owners get an email.",
        done="Finalized",
        permissions=["change"],
    )
    def finalize(self, request: HttpRequest, invoice: Invoice, reason: str) -> None:
        invoices.require_draft(invoice)
        invoices.finalize_invoice(invoice)

    @operator_action(
        "Mark as paid",
        effect="A payment of the total is recorded in the ledger. Identify the payment in the reason.",
        done="Paid",
        permissions=["change"],
    )
    def mark_paid(self, request: HttpRequest, invoice: Invoice, reason: str) -> None:
        invoices.pay_invoice(invoice, actor=str(request.user), reason=reason)

    @operator_action(
        "Void",
        effect="The total is written off in the ledger and no longer due. The invoice keeps its number.",
        done="Void",
        permissions=["change"],
        types_name=True,
        is_danger=True,
    )
    def make_void(self, request: HttpRequest, invoice: Invoice, reason: str) -> None:
        invoices.void_invoice(invoice, actor=str(request.user), reason=reason)


class CreditNoteForm(OperatorForm):
    """A new credit note. What is wrong about it is known once it is tried, in the form's own transaction."""

    def clean(self) -> dict[str, Any]:
        """Refuse what the action would refuse."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if {"invoice", "amount_nanousd", "settlement"} <= cleaned.keys():
            try:
                credit_notes.check_credit_note(
                    cleaned["invoice"], cleaned["amount_nanousd"], cleaned["settlement"]
                )
            except DomainError as error:
                self.add_error(None, error.message)
        return cleaned


@admin.register(CreditNote)
class CreditNoteAdmin(Immutable, AmountsInDollars, OperatorAdmin):
    form = CreditNoteForm
    list_display = ["__str__", "invoice", "amount", "settlement", "reason", "actor", "created_at"]
    list_filter = ["settlement"]
    list_select_related = ["invoice"]
    search_fields = ["number", "invoice__number", "invoice__tenant__slug"]
    ordering = ["-number"]
    autocomplete_fields = ["invoice"]
    amount = dollars_column("amount_nanousd", "amount")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Ask for what an operator decides; the rest is written by the action."""
        decided = ["invoice", "amount_nanousd", "settlement", "reason"]
        return decided if obj is None else ["number", *decided, "actor", "created_at"]

    def save_model(self, request: HttpRequest, obj: CreditNote, form: Any, change: bool) -> None:
        """Issue the note, and take the new row over into the console's own object."""
        note = credit_notes.issue_credit_note(
            obj.invoice,
            obj.amount_nanousd,
            settlement=obj.settlement,
            reason=obj.reason,
            actor=str(request.user),
        )
        obj.pk = note.pk
        obj.number = note.number
        obj.created_at = note.created_at
