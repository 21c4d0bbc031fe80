"""Invoices and credit notes: list, get, as documents; the month until now; payment by card."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer

from billing.api.payments import PaymentObject
from billing.invoices import invoices, pdf
from billing.invoices.credit_notes import due_nanousd, notes_of
from billing.models import CreditNote, Payment
from billing.payments import payments
from core import months
from core.money import dollars
from core.rest.objects import AmountField, DollarsField
from metering.models import Invoice, InvoiceLine
from tenants.models import Scope
from tenants.rest import WorkspaceViewSet, get, post
from tenants.roles import Permission


class InvoiceLineObject(serializers.Serializer[Any]):
    """An invoice line. A usage line refers to the first and last ledger entry it covers."""

    kind = serializers.ChoiceField(InvoiceLine.Kind.choices, initial="fee")
    text = serializers.CharField(initial="Writer, monthly fee")
    style_name = serializers.CharField(allow_blank=True)
    meter = serializers.CharField(
        allow_blank=True, help_text="`input`, `cached input` or `output`; empty for trainings."
    )
    quantity = serializers.IntegerField(help_text="Number of tokens.", initial=1)
    unit_nanousd = serializers.IntegerField(allow_null=True, initial=12_000_000_000)
    amount_nanousd = serializers.IntegerField(initial=12_000_000_000)
    amount_usd = AmountField("amount_nanousd")
    first_entry = serializers.IntegerField(allow_null=True, help_text="First ledger entry it covers.")
    last_entry = serializers.IntegerField(allow_null=True, help_text="Last ledger entry it covers.")


class InvoiceObject(serializers.Serializer[Invoice]):
    """A monthly invoice. Only its state changes after it is finalized."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="invoice", read_only=True)
    number = serializers.CharField(source="__str__", help_text="The invoice's number.", initial="PS-000042")
    period = serializers.CharField(initial="2026-10")
    state = serializers.ChoiceField(["finalized", "paid", "void"], initial="finalized")
    plan = serializers.CharField(help_text="The plan version at the end of the month.", initial="Writer v1")
    total_nanousd = serializers.IntegerField(initial=12_000_000_000)
    total_usd = AmountField("total_nanousd", "total")
    due_nanousd = serializers.SerializerMethodField(
        help_text="Amount due: the total minus credit notes.", initial=12_000_000_000
    )
    due_usd = serializers.SerializerMethodField(help_text="The amount due, in dollars.")
    finalized_at = serializers.DateTimeField(help_text="When it was finalized.")
    closed_at = serializers.DateTimeField(allow_null=True, help_text="When it was paid or voided.")
    lines = InvoiceLineObject(many=True)

    def get_due_nanousd(self, invoice: Invoice) -> int:
        """Return what is to be paid, nothing once it is paid or void."""
        return due_nanousd(invoice)

    def get_due_usd(self, invoice: Invoice) -> str | None:
        """Return what is to be paid in dollars."""
        return dollars(due_nanousd(invoice))


class CreditNoteObject(serializers.Serializer[CreditNote]):
    """A credit note, which corrects an invoice. It never changes."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="credit_note", read_only=True)
    number = serializers.CharField(source="__str__", initial="CN-000007")
    invoice = serializers.UUIDField(source="invoice_id")
    invoice_number = serializers.CharField(source="invoice.__str__", initial="PS-000042")
    amount_nanousd = serializers.IntegerField(initial=2_000_000_000)
    amount_usd = AmountField("amount_nanousd")
    settlement = serializers.ChoiceField(
        CreditNote.Settlement.choices,
        help_text="`owed`: reduces the amount due. `credits` and `refund`: return the amount of a paid "
        "invoice.",
        initial="owed",
    )
    reason = serializers.CharField(initial="Half a day without an engine.")
    created_at = serializers.DateTimeField()


class PreviewObject(serializers.Serializer[invoices.Preview]):
    """A preview of this month's invoice."""

    object = serializers.CharField(default="invoice_preview", read_only=True)
    period = serializers.CharField()
    plan = serializers.CharField(initial="Writer v1")
    total_nanousd = serializers.IntegerField(initial=12_000_000_000)
    total_usd = DollarsField(source="total_nanousd", help_text="Total in dollars.")
    lines = InvoiceLineObject(many=True)


class PdfRenderer(BaseRenderer):
    """Lets a request ask for a PDF. The view writes it."""

    media_type = "application/pdf"
    format = "pdf"

    def render(self, data: Any, *_: Any) -> bytes:
        """Return an error as JSON: only errors come here."""
        return JSONRenderer().render(data)


class BytesRenderer(PdfRenderer):
    """Lets a request ask for the same document as bytes: some clients know no other type of a file."""

    media_type = "application/octet-stream"
    format = "bytes"


PDF: dict[str, Any] = {
    "answer": None,
    "others": {PdfRenderer.media_type: OpenApiTypes.BINARY, BytesRenderer.media_type: OpenApiTypes.BINARY},
    "says": "The PDF document.",
    "view_options": {"renderer_classes": [PdfRenderer, BytesRenderer, JSONRenderer]},
}


class InvoiceViewSet(WorkspaceViewSet):
    """Finalized invoices."""

    tag, noun, nouns = "invoices", "invoice", "invoices"
    scope, read_scope, needs = Scope.ADMIN, Scope.BILLING_READ, Permission.MANAGE_BILLING
    reads = {"list": "Return finalized invoices, newest first.", "retrieve": "Return an invoice."}
    serializer_class = InvoiceObject
    ordering = ("-period",)  # a workspace has one a month
    lookup_url_kwarg = "invoice_id"

    def get_queryset(self) -> QuerySet[Invoice]:
        return invoices.final_invoices(self.access.tenant).prefetch_related("lines")

    @get("Preview this month's invoice", detail=False, answer=PreviewObject)
    def preview(self) -> invoices.Preview:
        """Return this month's lines so far."""
        return invoices.preview_invoice(self.access.tenant, months.current())

    @get("Get an invoice as a PDF", **PDF)
    def pdf(self, invoice: Invoice) -> HttpResponse:
        """Return the PDF document."""
        return HttpResponse(pdf.invoice_pdf(invoice), content_type=self.request.accepted_media_type)

    @post("Pay an invoice by card", answer=PaymentObject, status=201, is_repeatable=True)
    def pay(self, invoice: Invoice) -> Payment:
        """Return the open payment for the amount due, and create it if needed. It is paid at its `url`."""
        return payments.begin_invoice_payment(invoice, by=self.access)


class CreditNoteViewSet(WorkspaceViewSet):
    """Credit notes."""

    tag, resource, noun, nouns = "invoices", "credit_notes", "credit note", "credit notes"
    scope = Scope.BILLING_READ
    reads = {"list": "Return credit notes, newest first.", "retrieve": "Return a credit note."}
    serializer_class = CreditNoteObject
    ordering = ("-number",)
    lookup_url_kwarg = "note_id"

    def get_queryset(self) -> QuerySet[CreditNote]:
        return notes_of(self.access.tenant)

    @get("Get a credit note as a PDF", **PDF)
    def pdf(self, note: CreditNote) -> HttpResponse:
        """Return the PDF document."""
        return HttpResponse(pdf.credit_note_pdf(note), content_type=self.request.accepted_media_type)
