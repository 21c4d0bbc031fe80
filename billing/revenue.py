"""What all workspaces together used and trained: at list prices, before included tokens and credits."""

from datetime import date

from django.db.models import Sum

from billing.models import CreditNote, Payment
from metering.models import Invoice, LedgerEntry, UsageDaily


def used_nanousd(first: date, last: date) -> int:
    """Return what the usage of some days costs, both included, with the trainings that ended in them."""
    days = UsageDaily.objects.filter(day__range=(first, last))
    used = days.aggregate(total=Sum("cost_nanousd", default=0))["total"]
    trained = LedgerEntry.objects.filter(
        kind=LedgerEntry.Kind.TRAINING,
        # Beside the moment, which has no index: an entry is of this month, or of a later one.
        period__gte=f"{first:%Y-%m}",
        created_at__date__range=(first, last),
    )
    return int(used + trained.aggregate(total=Sum("amount_nanousd", default=0))["total"])


def invoiced_nanousd(period: str) -> int:
    """Return what a month's final invoices come to, less their credit notes."""
    final = Invoice.objects.filter(period=period, state__in=(Invoice.State.FINALIZED, Invoice.State.PAID))
    total = final.aggregate(total=Sum("total_nanousd", default=0))["total"]
    notes = CreditNote.objects.filter(invoice__in=final)
    return int(total - notes.aggregate(total=Sum("amount_nanousd", default=0))["total"])


def count_open_transfers() -> int:
    """Return how many payments by bank transfer an operator still has to confirm or reject."""
    open_payments = Payment.objects.filter(state=Payment.State.OPEN)
    return open_payments.filter(provider=Payment.Provider.MANUAL).count()
