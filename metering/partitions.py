"""Usage events lie in one partition a month; those of a month without one lie in the rest.

The month is the event's own, `period`, never the clock's. So a replay meets its first recording in the same
partition, and a partition holds what the ledger has of that period: no more, no less.
"""

from collections.abc import Mapping
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from core import locks, months

EVENTS = "metering_usageevent"
REST = f"{EVENTS}_rest"
# Should beat stand still for weeks, no month begins without a partition.
MONTHS_AHEAD = 2
LEAST_KEPT = 3  # whole months beside the present one: invoices of so many are drafted
LOCK_TIMEOUT = "5s"  # others queue behind a lock that waits: give up, and let the next run try again


def make_partitions(now: datetime) -> list[str]:
    """Make the partitions of this month and the next two; return the months that had none. Safe to repeat."""
    period = months.period_of(now)
    made = []
    for _ in range(1 + MONTHS_AHEAD):
        if make_partition(period):
            made.append(period)
        period = months.period_of(months.bounds(period)[1])
    return made


def make_partition(period: str) -> bool:
    """Make a month's partition, with its events that lie in the rest; return False if it is there.

    Pages read meanwhile, and drains wait for a moment. Raises OperationalError where a lock is not to be had
    in time; then nothing has changed.
    """
    name = partition_name(period)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        locks.one_at_a_time(f"making {name}")
        if exists(cursor, name):
            return False
        names: dict[str, sql.Composable] = {
            "name": sql.Identifier(name),
            "rest": sql.Identifier(REST),
            "events": sql.Identifier(EVENTS),
        }
        create = "CREATE TABLE {name} (LIKE {events} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
        _run(cursor, create, names)
        # At the parent: a drain that had chosen the rest already would be refused there afterwards.
        _run(cursor, "LOCK TABLE ONLY {events} IN SHARE ROW EXCLUSIVE MODE", names)
        move = """
            WITH moved AS (DELETE FROM {rest} WHERE period = {period} RETURNING *)
            INSERT INTO {name} SELECT * FROM moved
        """
        of_month = {**names, "period": sql.Literal(period)}
        _run(cursor, move, of_month)
        # Unlike CREATE TABLE … PARTITION OF, this lets everybody read the other months.
        _run(cursor, "ALTER TABLE {events} ATTACH PARTITION {name} FOR VALUES IN ({period})", of_month)
    return True


def list_partitioned_months() -> list[str]:
    """Return the months whose events are in a partition of their own, the oldest first."""
    # From PostgreSQL's catalogue: a list of our own could differ from the tables that are there.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [EVENTS]
        )
        tables = {name for (name,) in cursor.fetchall()} - {REST}
    return sorted(name.removeprefix(f"{EVENTS}_").replace("_", "-") for name in tables)


def first_kept_month() -> str:
    """Return the oldest month whose events are kept by USAGE_EVENTS_KEPT_MONTHS; "" if all are, for ever."""
    if not settings.USAGE_EVENTS_KEPT_MONTHS:
        return ""
    period = months.current()
    for _ in range(max(LEAST_KEPT, settings.USAGE_EVENTS_KEPT_MONTHS)):
        period = months.before(period)
    return period


def oldest_month() -> str:
    """Return the oldest month with a partition, before which events were deleted; "" if there is none."""
    return next(iter(list_partitioned_months()), "")


def partition_name(period: str) -> str:
    """Return the name of a month's table. Raises ValueError for a malformed month."""
    start, _ = months.bounds(period)
    return f"{EVENTS}_{start:%Y_%m}"


def exists(cursor: CursorWrapper, name: str) -> bool:
    """Return whether there is a table of that name, attached or not."""
    # `to_regclass` may answer from the connection's own cache, which knows no table of another connection
    # that was made since this transaction began to wait for its lock.
    cursor.execute("SELECT EXISTS (SELECT FROM pg_class WHERE relname = %s)", [name])
    return bool(cursor.fetchone()[0])


def _run(cursor: CursorWrapper, statement: str, names: Mapping[str, sql.Composable]) -> None:
    cursor.execute(sql.SQL(statement).format(**names))
