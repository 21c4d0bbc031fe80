"""No code holds a database lock while it asks another service: who waits for the lock would wait for it."""

import re

import pytest
import redis.connection
import urllib3
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.transaction import Atomic

LOCKS = re.compile(
    r"\s*(UPDATE|INSERT|DELETE|LOCK|TRUNCATE)\b|.*\bFOR (NO KEY )?UPDATE\b|.*\bpg_advisory_", re.S
)


def refuse_asking_under_locks(patch: pytest.MonkeyPatch) -> None:
    """Let each question to Valkey, an engine or storage fail while this thread's transaction holds a lock."""
    execute = CursorWrapper.execute
    leave = Atomic.__exit__
    send = redis.connection.AbstractConnection.send_packed_command
    ask = urllib3.HTTPConnectionPool.urlopen

    def watched_execute(self, sql, params=None):
        if is_in_transaction(self.db) and LOCKS.match(str(sql)):
            self.db.lock_taken_by = str(sql)
        return execute(self, sql, params)

    def watched_leave(self, *raised):
        try:
            leave(self, *raised)
        finally:
            connection = connections[self.using or "default"]
            if not is_in_transaction(connection):
                connection.lock_taken_by = None

    def watched_send(self, *arguments, **options):
        refuse_under_lock("Valkey")
        return send(self, *arguments, **options)

    def watched_ask(self, *arguments, **options):
        refuse_under_lock(f"{self.host}:{self.port}")
        return ask(self, *arguments, **options)

    patch.setattr(CursorWrapper, "execute", watched_execute)
    patch.setattr(Atomic, "__exit__", watched_leave)
    patch.setattr(redis.connection.AbstractConnection, "send_packed_command", watched_send)
    patch.setattr(urllib3.HTTPConnectionPool, "urlopen", watched_ask)


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the code under test began a transaction. Those around a whole test don't count."""
    return not all(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


def refuse_under_lock(asked: str) -> None:
    for connection in connections.all(initialized_only=True):
        taken_by = getattr(connection, "lock_taken_by", None)
        if taken_by and is_in_transaction(connection):
            # No code that handles errors of a service catches this.
            pytest.fail(f"{asked} is asked while a transaction holds the lock of: {taken_by}")
