"""Locks across all processes, held by the database. A killed process releases its own.

While other transactions wait for a lock, its holder must not call Valkey, the storage or an engine. Actions
that call them use `only_one`, for which nobody waits.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def only_one(action: str) -> Iterator[bool]:
    """Yield True to the one process that runs an action now, and False at once to any other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [action])
        is_held = bool(cursor.fetchone()[0])
    try:
        yield is_held
    finally:
        if is_held:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [action])


def one_at_a_time(action: str) -> None:
    """Wait until no other transaction runs an action, and keep others out until this one ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [action])
