"""What the apps above may use of this one."""

import logging
from datetime import date

from django.db import connection, transaction
from django.db.models import Sum
from psycopg import sql

from billing import author_shares
from billing.invoices import invoices
from billing.invoices.invoices import final_invoices
from billing.models import BillingDetails, CreditNote, Payment
from billing.month_report import latest_requests, monthly_report
from metering import partitions
from metering.earnings import decide_shares
from metering.models import Invoice, InvoiceLine, LedgerEntry, UsageDaily
from metering.reconciliation import compare_earnings, compare_usage, find_uninvoiced
from tenants.export import Table as ExportTable
from tenants.export import make_table as make_export_table
from tenants.models import Tenant

__all__ = [
    "author_shares",
    "count_open_transfers",
    "decide_shares",
    "drop_old_months",
    "invoiced_nanousd",
    "invoices",
    "latest_requests",
    "list_exported",
    "monthly_report",
    "used_nanousd",
]


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


INVOICE_FIELDS = ("id", "number", "period", "state", "plan", "total_nanousd", "bill_to", "finalized_at")
LINE_FIELDS = ("invoice__number", "kind", "text", "amount_nanousd")


def list_exported(tenant: Tenant) -> list[ExportTable]:
    """Return what this app knows of a workspace."""
    details = BillingDetails.objects.filter(tenant=tenant)
    invoices = final_invoices(tenant).order_by("period")
    lines = InvoiceLine.objects.filter(invoice__in=final_invoices(tenant)).order_by("invoice__period", "pk")
    return [
        make_export_table("billing_details", details, "name", "address", "tax_id", "reference"),
        make_export_table("invoices", invoices, *INVOICE_FIELDS, "closed_at"),
        make_export_table("invoice_lines", lines, *LINE_FIELDS),
    ]


MAX_NAMED = 20  # faults in one message

logger = logging.getLogger(__name__)


def drop_old_months() -> list[str]:
    """Drop the events of the months that are older than is kept, the oldest first; return which.

    It ends at a month that is not closed, and logs why. Safe to repeat, to crash, and from two workers at
    once. Raises OperationalError where a lock is not to be had in time; then nothing has changed.
    """
    dropped = []
    first_kept = partitions.first_kept_month()
    for period in partitions.list_partitioned_months():
        if period >= first_kept or not _drop_month(period):
            break
        dropped.append(period)
    return dropped


def _drop_month(period: str) -> bool:
    """Drop a month's events if all of them are booked and invoiced; return whether they were."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{partitions.LOCK_TIMEOUT}'")
        # Drains wait while the month is compared: nothing may come between that and the drop. At the parent,
        # so that none holds what the next statement needs. Readers go on.
        cursor.execute(f"LOCK TABLE {partitions.EVENTS} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("SET LOCAL statement_timeout = 0")  # a month is read as a whole
        faults = [*find_uninvoiced(period), *map(str, compare_usage(period)), *compare_earnings(period)]
        if faults:
            logger.error("usage events of %s are kept: %s", period, "; ".join(faults[:MAX_NAMED]))
            return False
        table = sql.Identifier(partitions.partition_name(period))
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
    logger.info("usage events of %s were deleted", period)
    return True
