"""Pages about money: the month until now, and the invoices before."""

from collections.abc import Callable, Sequence
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from billing.invoices import credit_notes, invoices, pdf
from billing.invoices.invoice_lines import Line
from billing.payments import payments
from core import months
from core.money import COLUMN_DECIMALS, decimals_of, usd, usd_at_a_glance, usd_element, usd_rounded
from metering import usage_report
from metering.forms import MILLION
from metering.models import InvoiceLine
from tenants.access import MemberRequest, access_of, member_required
from tenants.roles import Permission, requires

type ShowAmount = Callable[[int], SafeString]

MAX_SHOWN = 60  # five years
MAX_USAGE_ROWS = 100


@require_GET
@member_required
@requires(to_read=Permission.READ_BILLING)
def list_invoices(request: MemberRequest) -> HttpResponse:
    """Show what this month costs until now, and the invoices of the months before."""
    period = months.current()
    start, end = months.bounds(period)
    preview = invoices.preview_invoice(request.tenant, period)
    newest = invoices.final_invoices(request.tenant).order_by("-period")[:MAX_SHOWN]
    owed_nanousd = invoices.balance_nanousd(request.tenant.pk)
    context = {
        "lines": _rows(preview.lines, usd_at_a_glance),
        "total": usd(preview.total_nanousd),
        "total_at_a_glance": usd_at_a_glance(preview.total_nanousd),
        "month": start,
        "next_month": end,
        "invoices": [(invoice, usd(invoice.total_nanousd)) for invoice in newest],
        "owed": usd_at_a_glance(owed_nanousd) if owed_nanousd else "",
    }
    return render(request, "billing/invoices.html", context)


@require_GET
@member_required
@requires(to_read=Permission.READ_BILLING)
def show_invoice(request: MemberRequest, invoice_id: UUID) -> HttpResponse:
    """Show one invoice, fit to be printed."""
    invoice = get_object_or_404(invoices.final_invoices(request.tenant), pk=invoice_id)
    start, end = months.bounds(invoice.period)
    takes_cards = payments.current_provider().takes_cards
    lines = list(invoice.lines.all())
    context = {
        "invoice": invoice,
        "lines": _rows(lines, _in_column(lines)),
        "total": usd(invoice.total_nanousd),
        "can_pay": takes_cards and access_of(request).may(Permission.MANAGE_BILLING),
        "instructions": settings.PAYMENT_INSTRUCTIONS,
        "due": usd(credit_notes.due_nanousd(invoice)),
        "notes": [(note, usd(note.amount_nanousd)) for note in invoice.credit_notes.all()],
        "month": start,
        "next_month": end,
        "is_log_deleted": usage_report.is_log_deleted(request.tenant, invoice.period),
    }
    return render(request, "billing/invoice.html", context)


@require_GET
@member_required
@requires(to_read=Permission.READ_BILLING)
def download_invoice(request: MemberRequest, invoice_id: UUID) -> HttpResponse:
    """Answer one invoice as a PDF."""
    invoice = get_object_or_404(invoices.final_invoices(request.tenant), pk=invoice_id)
    return _pdf(pdf.invoice_pdf(invoice), str(invoice))


@require_GET
@member_required
@requires(to_read=Permission.READ_BILLING)
def show_credit_note(request: MemberRequest, note_id: UUID) -> HttpResponse:
    """Show one credit note."""
    note = get_object_or_404(credit_notes.notes_of(request.tenant), pk=note_id)
    return render(request, "billing/credit_note.html", {"note": note, "amount": usd(note.amount_nanousd)})


@require_GET
@member_required
@requires(to_read=Permission.READ_BILLING)
def download_credit_note(request: MemberRequest, note_id: UUID) -> HttpResponse:
    """Answer one credit note as a PDF."""
    note = get_object_or_404(credit_notes.notes_of(request.tenant), pk=note_id)
    return _pdf(pdf.credit_note_pdf(note), str(note))


def _folded_row(lines: list[Line | InvoiceLine], show: ShowAmount) -> dict[str, object]:
    """Return one row for many lines of usage."""
    return {
        "text": gettext("{count} more usage lines").format(count=f"{len(lines):,}"),
        "quantity": sum(line.quantity for line in lines),
        "amount": show(sum(line.amount_nanousd for line in lines)),
    }


def _pdf(content: bytes, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"'}
    return HttpResponse(content, content_type="application/pdf", headers=headers)


def _rows(every: Sequence[Line | InvoiceLine], show: ShowAmount) -> list[dict[str, object]]:
    """Return lines as people read them: prices of tokens are dollars a million.

    Of thousands of lines of usage the dearest are shown, and one row for the others; the PDF has them all.
    """
    usage_lines = [line for line in every if line.kind == InvoiceLine.Kind.USAGE]
    dearest = sorted(usage_lines, key=lambda line: -line.amount_nanousd)
    folded = dearest[MAX_USAGE_ROWS:]
    hidden = {id(line) for line in folded}
    rows = []
    for line in every:
        if id(line) not in hidden:
            rows.append(_line_row(line, show))
        elif line is folded[0]:
            rows.append(_folded_row(folded, show))
    return rows


def _in_column(lines: Sequence[InvoiceLine]) -> ShowAmount:
    """Return what shows amounts of a column with as many decimals each, and the exact one on hover."""
    decimals = min(COLUMN_DECIMALS, max((decimals_of(line.amount_nanousd) for line in lines), default=2))
    return lambda nanousd: usd_element(nanousd, usd_rounded(nanousd, decimals))


def _line_row(line: Line | InvoiceLine, show: ShowAmount) -> dict[str, object]:
    is_usage = line.kind in InvoiceLine.METERED
    unit_nanousd = line.unit_nanousd if is_usage else None
    return {
        "text": line.shown_text,
        "quantity": line.quantity if is_usage else None,
        "unit": "" if unit_nanousd is None else usd(MILLION * unit_nanousd),
        "amount": show(line.amount_nanousd),
        "entries": (line.first_entry, line.last_entry) if line.first_entry else None,
    }
