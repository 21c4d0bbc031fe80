"""Credit notes: list, get, and as documents."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.base import present
from billing.api.invoices import PDF, BytesRenderer, PdfRenderer
from billing.api.presenters import CREDIT_NOTE_EXAMPLE, CreditNoteObject
from billing.invoices import pdf
from billing.invoices.credit_notes import notes_of
from tenants.models import Scope
from tenants.rest import WorkspaceView, operation


class CreditNotesView(WorkspaceView):
    """The workspace's credit notes."""

    @operation(
        "credit_notes.list",
        "List credit notes",
        scope=Scope.BILLING_READ,
        answer=CreditNoteObject,
        is_page=True,
        example=CREDIT_NOTE_EXAMPLE,
        tag="invoices",
    )
    def get(self, request: Request) -> Response:
        """Return credit notes, newest first."""
        own = notes_of(self.access.tenant)
        return self.answer_page(own, lambda rows: [present(CreditNoteObject, row) for row in rows])

    def order_by(self, request: Request) -> tuple[str, ...]:
        """Return the order: the highest number first."""
        return ("-number",)


class CreditNoteView(WorkspaceView):
    """One credit note."""

    @operation(
        "credit_notes.get",
        "Get a credit note",
        scope=Scope.BILLING_READ,
        answer=CreditNoteObject,
        example=CREDIT_NOTE_EXAMPLE,
        tag="invoices",
    )
    def get(self, request: Request, note_id: UUID) -> Response:
        """Return a credit note."""
        note = get_object_or_404(notes_of(self.access.tenant), pk=note_id)
        return self.answer_object(present(CreditNoteObject, note))


class CreditNotePdfView(WorkspaceView):
    """One credit note as a document."""

    renderer_classes = [PdfRenderer, BytesRenderer, JSONRenderer]

    @operation(
        "credit_notes.pdf",
        "Get a credit note as a PDF",
        scope=Scope.BILLING_READ,
        others=PDF,
        says="The PDF document.",
        tag="invoices",
    )
    def get(self, request: Request, note_id: UUID) -> HttpResponse:
        """Return the PDF document."""
        note = get_object_or_404(notes_of(self.access.tenant), pk=note_id)
        return HttpResponse(pdf.credit_note_pdf(note), content_type=request.accepted_media_type)
