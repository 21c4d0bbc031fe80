"""Invoices and credit notes: list, get, as documents; the month until now; payment by card."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer

from billing.api.presenters import CreditNoteObject, InvoiceLineObject, InvoiceObject, PaymentObject
from billing.invoices import invoices, pdf
from billing.invoices.credit_notes import notes_of
from billing.models import CreditNote, Payment
from billing.payments import payments
from core import months
from core.rest.objects import DollarsField
from metering.models import Invoice
from tenants.models import Scope
from tenants.rest import WorkspaceViewSet, get, post
from tenants.roles import Permission


class PreviewObject(serializers.Serializer[invoices.Preview]):
    """A preview of this month's invoice."""

    example: ClassVar = {
        "object": "invoice_preview",
        "period": "2026-11",
        "plan": "Writer v1",
        "total_nanousd": 12_000_000_000,
        "total_usd": "12",
        "lines": InvoiceObject.example["lines"],
    }

    object = serializers.CharField(default="invoice_preview", read_only=True)
    period = serializers.CharField()
    plan = serializers.CharField()
    total_nanousd = serializers.IntegerField()
    total_usd = DollarsField(source="total_nanousd")
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
    "renderer_classes": [PdfRenderer, BytesRenderer, JSONRenderer],
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
