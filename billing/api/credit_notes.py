"""Credit notes: list, get, and as documents."""

from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.invoices import PDF, BytesRenderer, PdfRenderer
from billing.api.presenters import CREDIT_NOTE_EXAMPLE, CreditNoteObject, present_credit_note
from billing.invoices import pdf
from billing.models import CreditNote
from tenants.models import Scope
from tenants.rest import WorkspaceView, operation


class CreditNotesView(WorkspaceView):
    """The workspace's credit notes."""

    read_scope = Scope.BILLING_READ
    write_scope = Scope.BILLING_READ

    @operation(
        "credit_notes.list",
        "List credit notes",
        scope=read_scope,
        answer=CreditNoteObject,
        is_page=True,
        example=CREDIT_NOTE_EXAMPLE,
        tag="invoices",
    )
    def get(self, request: Request) -> Response:
        """Return credit notes, newest first."""
        own = _own_notes(self.access.tenant.pk)
        return self.answer_page(own, lambda rows: [present_credit_note(row) for row in rows])

    def order_by(self, request: Request) -> tuple[str, ...]:
        """Return the order: the highest number first."""
        return ("-number",)


class CreditNoteView(WorkspaceView):
    """One credit note."""

    read_scope = Scope.BILLING_READ
    write_scope = Scope.BILLING_READ

    @operation(
        "credit_notes.get",
        "Get a credit note",
        scope=read_scope,
        answer=CreditNoteObject,
        example=CREDIT_NOTE_EXAMPLE,
        tag="invoices",
    )
    def get(self, request: Request, note_id: UUID) -> Response:
        """Return a credit note."""
        note = get_object_or_404(_own_notes(self.access.tenant.pk), pk=note_id)
        return self.answer_object(present_credit_note(note))


class CreditNotePdfView(WorkspaceView):
    """One credit note as a document."""

    read_scope = Scope.BILLING_READ
    write_scope = Scope.BILLING_READ
    renderer_classes = [PdfRenderer, BytesRenderer, JSONRenderer]

    @operation(
        "credit_notes.pdf",
        "Get a credit note as a PDF",
        scope=read_scope,
        others=PDF,
        says="The PDF document.",
        tag="invoices",
    )
    def get(self, request: Request, note_id: UUID) -> HttpResponse:
        """Return the PDF document."""
        note = get_object_or_404(_own_notes(self.access.tenant.pk), pk=note_id)
        return HttpResponse(pdf.credit_note_pdf(note), content_type=request.accepted_media_type)


def _own_notes(tenant_id: UUID) -> QuerySet[CreditNote]:
    own = CreditNote.objects.filter(invoice__tenant=tenant_id)
    return own.select_related("invoice__tenant")
