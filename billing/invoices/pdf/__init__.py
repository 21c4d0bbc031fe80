"""Invoices as PDF, set by Typst from frozen rows: the same rows give the same bytes in one language.

They are in the active language: that of the page, and English over the API. Nothing is fetched.
Why Typst: docs/decisions/0028-typst-sets-the-pdfs.md.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

import typst
from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext, pgettext

from billing.invoices.credit_notes import due_nanousd
from billing.models import CreditNote
from core import months
from core.money import usd
from metering.forms import MILLION
from metering.models import Invoice, InvoiceLine

MINUS = "\N{MINUS SIGN}"


def small_print() -> str:
    """Return what stands below every sum."""
    return gettext(
        "Months and times are in UTC. Amounts are in US dollars. Requests are metered exactly; only the "
        "total is rounded, to whole cents."
    )


def form_labels() -> dict[str, str]:
    """Return the words that document.typ itself prints."""
    return {
        "bill_to": pgettext("whom an invoice is made out to", "For"),
        "issuer": pgettext("who sends an invoice", "From"),
        "line": gettext("For"),
        "tokens": gettext("Tokens"),
        "unit": gettext("Per million"),
        "amount": gettext("Amount"),
        "how_to_pay": gettext("How to pay"),
        "page": gettext("Page {page} of {pages}"),
    }


def active_language() -> str:
    """Return the code by which Typst hyphenates."""
    return get_language() or settings.LANGUAGE_CODE


@dataclass(frozen=True)
class Row:
    """One line of a document, as people read it."""

    text: str
    amount: str
    quantity: str = ""
    unit: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Document:
    """All that document.typ shows, in the active language. Every value is text: nothing is evaluated."""

    title: str
    heading: str
    summary: str
    issuer: list[str]
    bill_to: list[str]
    date: tuple[int, int, int]
    facts: list[tuple[str, str]]
    lines: list[Row]
    total: tuple[str, str]
    note: str = ""
    sums: list[tuple[str, str]] = field(default_factory=list)
    payment: list[str] = field(default_factory=list)
    small_print: str = field(default_factory=small_print)
    labels: dict[str, str] = field(default_factory=form_labels)
    language: str = field(default_factory=active_language)


def invoice_pdf(invoice: Invoice) -> bytes:
    """Return a finalized invoice as a PDF of A4 pages."""
    issued = _issued_at(invoice)
    total = amount_text(invoice.total_nanousd)
    month = months.in_words(invoice.period)
    title = gettext("Invoice %(number)s") % {"number": invoice}
    facts = [
        (gettext("Issued"), date_text(issued)),
        (gettext("Month"), month),
        (gettext("Plan"), invoice.plan),
        (gettext("State"), capfirst(invoice.get_state_display())),
    ]
    if invoice.closed_at and invoice.state == Invoice.State.PAID:
        facts.append((gettext("Paid"), date_text(invoice.closed_at)))
    is_owed = invoice.state == Invoice.State.FINALIZED
    due = amount_text(due_nanousd(invoice))
    document = Document(
        title=title,
        heading=title,
        summary=gettext("%(total)s for %(month)s") % {"total": total, "month": month},
        issuer=issuer_lines(invoice),
        bill_to=invoice.bill_to_text.splitlines(),
        date=(issued.year, issued.month, issued.day),
        facts=facts,
        lines=line_rows(invoice.lines.all()),
        sums=_credited(invoice),
        total=(gettext("Amount due"), due) if is_owed else (gettext("Total"), total),
        payment=how_to_pay(invoice) if is_owed else [],
    )
    return render(document)


def credit_note_pdf(note: CreditNote) -> bytes:
    """Return a credit note as a PDF. It is made out as its invoice is."""
    invoice = note.invoice
    issued = note.created_at.astimezone(UTC)
    amount = amount_text(note.amount_nanousd)
    title = gettext("Credit note %(number)s") % {"number": note}
    facts = [
        (gettext("Issued"), date_text(issued)),
        (gettext("Invoice"), str(invoice)),
        (gettext("Month"), months.in_words(invoice.period)),
        (gettext("Effect"), capfirst(note.get_settlement_display())),
    ]
    document = Document(
        title=title,
        heading=title,
        summary=gettext("%(amount)s credited on invoice %(invoice)s")
        % {"amount": amount, "invoice": invoice},
        issuer=issuer_lines(invoice),
        bill_to=invoice.bill_to_text.splitlines(),
        date=(issued.year, issued.month, issued.day),
        facts=facts,
        lines=[Row(text=note.reason, amount=amount)],
        total=(gettext("Credited"), amount),
    )
    return render(document)


def render(document: Document) -> bytes:
    """Return a document as PDF."""
    return typst.compile(
        _template(),
        font_paths=_fonts(),
        sys_inputs={"document": json.dumps(asdict(document))},
        timestamp=datetime(*document.date, tzinfo=UTC),
    )


def issuer_lines(invoice: Invoice) -> list[str]:
    """Return who sends an invoice: as it was then, or as the settings say where it was not kept."""
    return (invoice.issuer or settings.INVOICE_ISSUER).splitlines()


def how_to_pay(invoice: Invoice) -> list[str]:
    """Return what the operators say about paying, and what names the invoice."""
    if not settings.PAYMENT_INSTRUCTIONS:
        return []
    return [
        *settings.PAYMENT_INSTRUCTIONS.splitlines(),
        gettext("Please include the reference %(invoice)s.") % {"invoice": invoice},
    ]


def line_rows(lines: Iterable[InvoiceLine]) -> list[Row]:
    """Return an invoice's lines; prices are those of a million tokens."""
    rows = []
    for line in lines:
        is_usage = line.kind in InvoiceLine.METERED
        has_unit = is_usage and line.unit_nanousd is not None
        row = Row(
            text=line.shown_text,
            amount=amount_text(line.amount_nanousd),
            quantity=intcomma(line.quantity) if is_usage else "",
            unit=usd(MILLION * (line.unit_nanousd or 0)) if has_unit else "",
            detail=_entries_text(line),
        )
        rows.append(row)
    return rows


def _credited(invoice: Invoice) -> list[tuple[str, str]]:
    """Return the total and what each credit note took off it; nothing for an invoice without notes."""
    sums = []
    for note in invoice.credit_notes.all():
        text = gettext("Credited with %(note)s") % {"note": note}
        sums.append((text, amount_text(-note.amount_nanousd)))
    return [(gettext("Total"), amount_text(invoice.total_nanousd)), *sums] if sums else []


def amount_text(nanousd: int) -> str:
    """Return an exact amount, with a minus sign as it is printed."""
    return usd(nanousd).replace("-", MINUS)


def date_text(moment: datetime) -> str:
    """Return a day in UTC, `2 November 2026`."""
    return date_format(moment.astimezone(UTC), gettext("j F Y"))


def _entries_text(line: InvoiceLine) -> str:
    if not line.first_entry:
        return ""
    if line.first_entry == line.last_entry:
        return gettext("Ledger entry %(entry)s") % {"entry": line.first_entry}
    entries = {"first": line.first_entry, "last": line.last_entry}
    return gettext("Ledger entries %(first)s to %(last)s") % entries


def _issued_at(invoice: Invoice) -> datetime:
    moment = invoice.finalized_at or invoice.created_at
    return moment.astimezone(UTC)


@cache
def _template() -> bytes:
    return files(__package__).joinpath("document.typ").read_bytes()


@cache
def _fonts() -> typst.Fonts:
    """Return Typst's own fonts, and the machine's for scripts that those lack. They are looked up once."""
    return typst.Fonts(include_system_fonts=True, include_embedded_fonts=True)
