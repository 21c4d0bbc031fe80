"""Delete the usage events of old months. The ledger, invoices, shares and sums by day stay, and say the same.

A month's events are one partition (metering/partitions.py), and dropping that takes no time.
"""

import logging

from django.db import connection, transaction
from psycopg import sql

from metering import partitions
from metering.reconciliation import compare_earnings, compare_usage, find_uninvoiced

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
