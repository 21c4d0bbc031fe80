"""Locks across all processes, held by the database: a killed process lets go of its own.

Nobody asks Valkey, the storage or an engine while others wait for a lock of the database: for that there is
`only_one`, for which nobody waits.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def only_one(action: str) -> Iterator[bool]:
    """Yield True to the one process that does a deed now, and False at once to any other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [action])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [action])


def one_at_a_time(action: str) -> None:
    """Wait until no other transaction does a deed, and keep others out until this one ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [action])
