"""Invoices as PDF, set by Typst from frozen rows: the same rows give the same bytes. Nothing is fetched.

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
from django.utils.translation import override

from foundation import months
from foundation.money import usd
from tenants.billing.credit_notes import due_nanousd
from tenants.billing.forms import MILLION
from tenants.models import CreditNote, Invoice, InvoiceLine

MINUS = "\N{MINUS SIGN}"
SMALL_PRINT = (
    "Months and times are UTC. Amounts are US dollars. Requests are counted exactly; the total is rounded "
    "once, to whole cents."
)


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
    """All that document.typ shows. Every value is text: nothing in it is evaluated."""

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
    small_print: str = SMALL_PRINT


@override("en")  # a document of the site, whoever fetches it
def invoice_pdf(invoice: Invoice) -> bytes:
    """Return a finalized invoice as a PDF of A4 pages."""
    start, _ = months.bounds(invoice.period)
    issued = _issued_at(invoice)
    total = amount_text(invoice.total_nanousd)
    facts = [
        ("Issued", date_text(issued)),
        ("Month", f"{start:%B %Y}"),
        ("Plan", invoice.plan),
        ("State", invoice.get_state_display().capitalize()),
    ]
    if invoice.closed_at and invoice.state == Invoice.State.PAID:
        facts.append(("Paid", date_text(invoice.closed_at)))
    is_owed = invoice.state == Invoice.State.FINALIZED
    due = amount_text(due_nanousd(invoice))
    document = Document(
        title=f"Invoice {invoice}",
        heading=f"Invoice {invoice}",
        summary=f"{total} for {start:%B %Y}",
        issuer=issuer_lines(invoice),
        bill_to=invoice.bill_to_text.splitlines(),
        date=(issued.year, issued.month, issued.day),
        facts=facts,
        lines=line_rows(invoice.lines.all()),
        sums=_credited(invoice),
        total=("To be paid", due) if is_owed else ("Total", total),
        payment=how_to_pay(invoice) if is_owed else [],
    )
    return render(document)


@override("en")  # a document of the site, whoever fetches it
def credit_note_pdf(note: CreditNote) -> bytes:
    """Return a credit note as a PDF. It is made out as its invoice is."""
    invoice = note.invoice
    start, _ = months.bounds(invoice.period)
    issued = note.created_at.astimezone(UTC)
    amount = amount_text(note.amount_nanousd)
    facts = [
        ("Issued", date_text(issued)),
        ("Invoice", str(invoice)),
        ("Month", f"{start:%B %Y}"),
        ("Effect", note.get_settlement_display().capitalize()),
    ]
    document = Document(
        title=f"Credit note {note}",
        heading=f"Credit note {note}",
        summary=f"{amount} is credited on invoice {invoice}",
        issuer=issuer_lines(invoice),
        bill_to=invoice.bill_to_text.splitlines(),
        date=(issued.year, issued.month, issued.day),
        facts=facts,
        lines=[Row(text=note.reason, amount=amount)],
        total=("Credited", amount),
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
    return [*settings.PAYMENT_INSTRUCTIONS.splitlines(), f"Please name {invoice}."]


def line_rows(lines: Iterable[InvoiceLine]) -> list[Row]:
    """Return an invoice's lines; prices are those of a million tokens."""
    rows = []
    for line in lines:
        is_usage = line.kind == InvoiceLine.Kind.USAGE
        has_unit = is_usage and line.unit_nanousd is not None
        row = Row(
            text=line.text,
            amount=amount_text(line.amount_nanousd),
            quantity=f"{line.quantity:,}" if is_usage else "",
            unit=usd(MILLION * (line.unit_nanousd or 0)) if has_unit else "",
            detail=_entries_text(line),
        )
        rows.append(row)
    return rows


def _credited(invoice: Invoice) -> list[tuple[str, str]]:
    """Return the total and what each credit note took off it; nothing for an invoice without notes."""
    sums = []
    for note in invoice.credit_notes.all():
        sums.append((f"Credited by {note}", amount_text(-note.amount_nanousd)))
    return [("Total", amount_text(invoice.total_nanousd)), *sums] if sums else []


def amount_text(nanousd: int) -> str:
    """Return an exact amount, with a minus sign as it is printed."""
    return usd(nanousd).replace("-", MINUS)


def date_text(moment: datetime) -> str:
    """Return a day in UTC, `2 November 2026`."""
    day = moment.astimezone(UTC)
    return f"{day.day} {day:%B %Y}"


def _entries_text(line: InvoiceLine) -> str:
    if not line.first_entry:
        return ""
    if line.first_entry == line.last_entry:
        return f"Ledger entry {line.first_entry}"
    return f"Ledger entries {line.first_entry} to {line.last_entry}"


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
