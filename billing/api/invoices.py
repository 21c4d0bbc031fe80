"""Invoices: list, get, and the month until now."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.base import DollarsField, present
from billing.api.presenters import INVOICE_EXAMPLE, InvoiceLineObject, InvoiceObject
from billing.invoices import invoices, pdf
from core import months
from tenants.models import Scope
from tenants.rest import WorkspaceView, operation

PREVIEW_EXAMPLE = {
    "object": "invoice_preview",
    "period": "2026-11",
    "plan": "Writer v1",
    "total_nanousd": 12_000_000_000,
    "total_usd": "12",
    "lines": INVOICE_EXAMPLE["lines"],
}


class PreviewObject(serializers.Serializer[invoices.Preview]):
    """A preview of this month's invoice."""

    object = serializers.CharField(default="invoice_preview", read_only=True)
    period = serializers.CharField()
    plan = serializers.CharField()
    total_nanousd = serializers.IntegerField()
    total_usd = DollarsField(source="total_nanousd")
    lines = InvoiceLineObject(many=True)


class InvoicesView(WorkspaceView):
    """The workspace's invoices."""

    @operation(
        "invoices.list",
        "List invoices",
        scope=Scope.BILLING_READ,
        answer=InvoiceObject,
        is_page=True,
        example=INVOICE_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return finalized invoices, newest first."""
        own = invoices.final_invoices(self.access.tenant).prefetch_related("lines")
        return self.answer_page(own, lambda rows: [present(InvoiceObject, row) for row in rows])

    def order_by(self, request: Request) -> tuple[str, ...]:
        """Return the order: the newest month first. A workspace has one a month."""
        return ("-period",)


class InvoiceView(WorkspaceView):
    """One invoice."""

    @operation(
        "invoices.get",
        "Get an invoice",
        scope=Scope.BILLING_READ,
        answer=InvoiceObject,
        example=INVOICE_EXAMPLE,
    )
    def get(self, request: Request, invoice_id: UUID) -> Response:
        """Return an invoice."""
        invoice = get_object_or_404(invoices.final_invoices(self.access.tenant), pk=invoice_id)
        return self.answer_object(present(InvoiceObject, invoice))


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


PDF = {PdfRenderer.media_type: OpenApiTypes.BINARY, BytesRenderer.media_type: OpenApiTypes.BINARY}


class InvoicePdfView(WorkspaceView):
    """One invoice as a document."""

    renderer_classes = [PdfRenderer, BytesRenderer, JSONRenderer]

    @operation(
        "invoices.pdf",
        "Get an invoice as a PDF",
        scope=Scope.BILLING_READ,
        others=PDF,
        says="The PDF document.",
    )
    def get(self, request: Request, invoice_id: UUID) -> HttpResponse:
        """Return the PDF document."""
        invoice = get_object_or_404(invoices.final_invoices(self.access.tenant), pk=invoice_id)
        return HttpResponse(pdf.invoice_pdf(invoice), content_type=request.accepted_media_type)


class InvoicePreviewView(WorkspaceView):
    """The month until now."""

    @operation(
        "invoices.preview",
        "Preview this month's invoice",
        scope=Scope.BILLING_READ,
        answer=PreviewObject,
        example=PREVIEW_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return this month's lines so far."""
        preview = invoices.preview_invoice(self.access.tenant, months.current())
        return Response(PreviewObject(preview).data)
