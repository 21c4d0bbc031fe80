"""Correct a month by hand: this one by an adjustment, a finalized invoice by a credit note.

The invoice itself never changes but for its state.
"""

from uuid import uuid4

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from billing.invoices.invoice_lines import CENT
from billing.models import CreditNote, CreditNoteNumber
from core import months
from core.errors import Conflict, Invalid
from core.money import usd
from events.models import EventType
from events.outbox import record_event
from metering.credits import grant_credit, lock_tenant
from metering.models import CreditGrant, Invoice, LedgerEntry
from tenants.models import Tenant

Settlement = CreditNote.Settlement
State = Invoice.State
Kind = LedgerEntry.Kind


class NotCorrectable(Conflict):
    """This invoice is {state}. Only finalized or paid invoices can have a credit note."""

    code = "invoice_state"


class TooMuchCredited(Invalid):
    """At most {left} of this invoice can be credited. A credit note must exceed $0.00, in whole cents."""


class WrongSettlement(Invalid):
    """A credit note reduces what is due on an unpaid invoice; for a paid invoice, the amount is returned."""


def credited_nanousd(invoice: Invoice) -> int:
    """Return what credit notes have taken off an invoice."""
    return int(invoice.credit_notes.aggregate(total=Sum("amount_nanousd", default=0))["total"])


def notes_of(tenant: Tenant) -> QuerySet[CreditNote]:
    """Return a workspace's credit notes, with their invoices."""
    return CreditNote.objects.filter(invoice__tenant=tenant).select_related("invoice__tenant")


def due_nanousd(invoice: Invoice) -> int:
    """Return what is to be paid for an invoice: nothing for one that is paid or void."""
    if invoice.state != State.FINALIZED:
        return 0
    return invoice.total_nanousd - credited_nanousd(invoice)


def issue_credit_note(
    invoice: Invoice, amount_nanousd: int, *, settlement: str, reason: str, actor: str
) -> CreditNote:
    """Return a new credit note with the next number, its ledger entries and its event.

    Of an unpaid invoice less is to be paid; with nothing left to pay it is paid. Of a paid one the amount
    comes back as credits, or operators have paid it back. Raises NotCorrectable, TooMuchCredited and
    WrongSettlement.
    """
    with transaction.atomic():
        # Workspace, then invoice, then number: the order of every change of invoices, so none waits
        # crosswise.
        Tenant.objects.select_for_update(no_key=True).get(pk=invoice.tenant_id)
        locked = Invoice.objects.select_for_update(no_key=True).get(pk=invoice.pk)
        check_credit_note(locked, amount_nanousd, settlement)
        # No sequence, whose numbers have gaps where a transaction rolls back.
        number = CreditNoteNumber.objects.select_for_update().get()
        number.last += 1
        number.save()
        note = CreditNote.objects.create(
            invoice=locked,
            number=number.last,
            amount_nanousd=amount_nanousd,
            settlement=settlement,
            reason=reason[:200],
            actor=actor[:80],
            created_at=timezone.now(),
        )
        _book(note)
        record_event(locked.tenant_id, EventType.CREDIT_NOTE_ISSUED, note)
        # Nothing is left to be paid, so no payment will come that closes it.
        if locked.state == State.FINALIZED and due_nanousd(locked) == 0:
            Invoice.objects.filter(pk=locked.pk).update(state=State.PAID, closed_at=note.created_at)
            locked.refresh_from_db()
            record_event(locked.tenant_id, EventType.INVOICE_PAID, locked)
    invoice.refresh_from_db()
    return note


def check_credit_note(invoice: Invoice, amount_nanousd: int, settlement: str) -> None:
    """Raise what `issue_credit_note` would. The answer holds while the invoice is locked."""
    if invoice.state not in (State.FINALIZED, State.PAID):
        raise NotCorrectable(state=invoice.get_state_display())
    left = invoice.total_nanousd - credited_nanousd(invoice)
    if not 0 < amount_nanousd <= left or amount_nanousd % CENT:
        raise TooMuchCredited(left=usd(left), field="amount_nanousd")
    if (invoice.state == State.FINALIZED) != (settlement == Settlement.OWED):
        raise WrongSettlement(field="settlement")


def _book(note: CreditNote) -> None:
    """Write a note into the ledger: what is owed no more, and what was paid back. Credits book themselves."""
    if note.settlement == Settlement.CREDITS:
        grant_credit(
            note.invoice.tenant,
            note.amount_nanousd,
            source=CreditGrant.Source.GOODWILL,
            source_id=f"credit note {note.pk}",
            reason=f"{note}: {note.reason}",
            actor=note.actor,
        )
        return
    _add_entry(note, Kind.WRITEOFF, -note.amount_nanousd)
    if note.settlement == Settlement.REFUND:
        _add_entry(note, Kind.PAYMENT, note.amount_nanousd)


def _add_entry(note: CreditNote, kind: LedgerEntry.Kind, amount_nanousd: int) -> None:
    LedgerEntry.objects.create(
        tenant_id=note.invoice.tenant_id,
        kind=kind,
        source_id=f"credit note {note.pk}",
        period=months.period_of(note.created_at),
        amount_nanousd=amount_nanousd,
        actor=note.actor,
        reason=f"{note}: {note.reason}"[:200],
    )


def adjust_month(tenant: Tenant, amount_nanousd: int, *, reason: str, actor: str) -> LedgerEntry:
    """Return a new entry of this month; negative: the workspace owes less. Its invoice shows the reason.

    A month whose invoice is final is corrected by a credit note instead.
    """
    with transaction.atomic():
        lock_tenant(tenant.pk)
        return LedgerEntry.objects.create(
            tenant=tenant,
            kind=LedgerEntry.Kind.ADJUSTMENT,
            source_id=f"console {uuid4()}",
            period=months.current(),
            amount_nanousd=amount_nanousd,
            actor=actor[:80],
            reason=reason[:200],
        )
