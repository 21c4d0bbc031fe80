"""All connections of one server: how many there may be, and the check of their deadlines once a second."""

import asyncio
import resource
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from config import env


@dataclass(frozen=True)
class ConnectionLimits:
    """What a connection may take. Deadlines are counted in checks, one every `check_every_s`."""

    connections: int = env.read_int("HTTP_MAX_CONNECTIONS")
    connections_per_address: int = env.read_int("HTTP_MAX_CONNECTIONS_PER_ADDRESS")
    check_every_s: float = 1.0
    headers_bytes: int = 32 * 1024
    headers_within_s: int = 10
    body_bytes: int = 8 * 1024 * 1024
    body_silent_for_s: int = 30
    body_within_s: int = 120
    file_bytes: int = 201 * 1024 * 1024  # of a body with a file, at FILE_PATHS
    file_within_s: int = 1800
    body_after_answer_s: int = 5  # the rest of a body that was answered is read and thrown away
    unread_for_s: int = 30
    pipelined: int = 4


class Connection(Protocol):
    """What `Connections` needs of a connection."""

    loop: asyncio.AbstractEventLoop

    def check_deadlines(self) -> None:
        """End the connection if it is late."""


class Connections:
    """All connections of one server."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        # A request may need a second file: a connection to an engine, or to PostgreSQL.
        self._max_connections = min(limits.connections, _raise_max_open_files() * 3 // 4)
        self._by_address: Counter[str] = Counter()
        self._open: set[Connection] = set()
        self._next_check: asyncio.TimerHandle | None = None

    def add(self, connection: Connection, address: str) -> bool:
        """Count a connection; return False when there are too many. `address` is "" behind a proxy."""
        self._open.add(connection)
        if address:
            self._by_address[address] += 1
        if self._next_check is None:
            self._schedule_check(connection.loop)
        has_room = len(self._open) <= self._max_connections
        return has_room and self._by_address[address] <= self._limits.connections_per_address

    def remove(self, connection: Connection, address: str) -> None:
        """Count a connection no more."""
        self._open.discard(connection)
        if not address:
            return
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def _schedule_check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._next_check = loop.call_later(self._limits.check_every_s, self._check_all, loop)

    def _check_all(self, loop: asyncio.AbstractEventLoop) -> None:
        for connection in tuple(self._open):
            connection.check_deadlines()
        self._next_check = None
        if self._open:
            self._schedule_check(loop)


def _raise_max_open_files() -> int:
    """Let this process open as many files as it may; return how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return 1 << 20 if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
