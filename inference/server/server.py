"""One process that serves an ASGI app: its connections, and how it starts and stops."""

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from inference.server.connection import READ_BYTES, HttpConnection
from inference.server.proxies import Proxies
from inference.server.request import App


@dataclass(frozen=True)
class Limits:
    """The bounds of one server. Seconds are counted in checks, one every `check_every_s`."""

    connections: int = 4096
    connections_per_address: int = 1024
    check_every_s: float = 1.0
    headers_bytes: int = 32 * 1024
    headers_within_s: int = 10
    idle_for_s: int = 5  # between two requests
    body_bytes: int = 8 * 1024 * 1024
    body_silent_for_s: int = 30
    body_within_s: int = 120
    file_paths: tuple[str, ...] = ()  # their bodies go to the storage as they come
    file_bytes: int = 201 * 1024 * 1024
    file_within_s: int = 1800
    body_after_answer_s: int = 5  # the rest of a body that was answered is read and thrown away
    unread_for_s: int = 30  # of a client that reads nothing of what is written
    unread_body_bytes: int = 64 * 1024  # that the app has not taken: more is not read from the client


logger = logging.getLogger(__name__)
DEFAULT_LIMITS = Limits()
LIFESPAN = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
BACKLOG = 2048
CHECK_STOPPED_EVERY_S = 0.05
CANCELLED_WITHIN_S = 5.0


class Server:
    """All connections of one process. One check a second ends those that are late: a request has no timer."""

    def __init__(
        self, app: App, limits: Limits = DEFAULT_LIMITS, trusted_proxies: Iterable[str] = ()
    ) -> None:
        self.app = app
        self.limits = limits
        self.proxies = Proxies(trusted_proxies)
        self.read_bytes = bytearray(READ_BYTES)  # of one connection at a time, until they are parsed
        self.read_view = memoryview(self.read_bytes)
        self.state: dict[str, Any] = {}  # what the app's lifespan leaves for its requests
        self._running: set[asyncio.Task[None]] = set()  # calls of the app
        self.is_stopping = False
        self.date_line = b""
        self.address: tuple[str, int | None] | None = None
        self.loop: asyncio.AbstractEventLoop
        # A request may need a second file: a connection to an engine, or to PostgreSQL.
        self._max_connections = min(limits.connections, _raise_max_open_files() * 3 // 4)
        self._open: set[HttpConnection] = set()
        self._by_address: Counter[str] = Counter()

    def add(self, connection: HttpConnection, address: str) -> bool:
        """Count a connection; return False when there are too many. `address` is "" behind a proxy."""
        self._open.add(connection)
        if address:
            self._by_address[address] += 1
        has_room = len(self._open) <= self._max_connections
        return has_room and self._by_address[address] <= self.limits.connections_per_address

    def keep(self, running: "asyncio.Task[None]") -> None:
        """Keep a call of the app until it ends."""
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    def remove(self, connection: HttpConnection, address: str) -> None:
        """Stop counting a connection."""
        self._open.discard(connection)
        if not address:
            return
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    @contextlib.asynccontextmanager
    async def listening(self, listener: socket.socket, *, graceful_stop_s: float = 0) -> AsyncIterator[None]:
        """Serve until the block ends; then close what is idle, and wait for answers under way."""
        self.loop = asyncio.get_running_loop()
        name = listener.getsockname()
        self.address = (name[0], name[1]) if isinstance(name, tuple) else (str(name), None)
        self._check_all()
        accepting = await self.loop.create_server(
            lambda: HttpConnection(self), sock=listener, backlog=BACKLOG
        )
        try:
            yield
        finally:
            self.is_stopping = True
            accepting.close()
            await self._end_connections(graceful_stop_s)
            self._next_check.cancel()

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Start the app, and stop it after the block. Raises RuntimeError for an app that does not start."""
        to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        from_app: asyncio.Queue[Any] = asyncio.Queue()
        scope = {**LIFESPAN, "state": self.state}
        living = asyncio.ensure_future(self.app(scope, to_app.get, from_app.put))
        try:
            await self._tell(living, to_app, from_app, "lifespan.startup")
            yield
            await self._tell(living, to_app, from_app, "lifespan.shutdown")
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)

    async def _tell(
        self, living: "asyncio.Future[None]", to_app: Any, from_app: "asyncio.Queue[Any]", kind: str
    ) -> None:
        await to_app.put({"type": kind})
        answer = asyncio.ensure_future(from_app.get())
        await asyncio.wait({living, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await living  # raises what went wrong
            raise RuntimeError(f"The app returned before {kind} was complete.")
        if answer.result()["type"] != f"{kind}.complete":
            raise RuntimeError(answer.result().get("message") or f"{kind} failed.")

    async def _end_connections(self, graceful_stop_s: float) -> None:
        for connection in tuple(self._open):
            connection.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(graceful_stop_s):
                await self._until_ended()
        for running in tuple(self._running):
            running.cancel()
        for connection in tuple(self._open):
            connection.transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCELLED_WITHIN_S):
                await self._until_ended()

    async def _until_ended(self) -> None:
        while self._open or self._running:  # noqa: ASYNC110 requests would have to tell of their end
            await asyncio.sleep(CHECK_STOPPED_EVERY_S)

    def _check_all(self) -> None:
        self._next_check = self.loop.call_later(self.limits.check_every_s, self._check_all)
        self.date_line = f"date: {formatdate(usegmt=True)}\r\n".encode()
        for connection in tuple(self._open):
            connection.check_deadlines()


async def serve(
    server: Server, listener: socket.socket, *, graceful_stop_s: float, while_open: int | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, or until the file descriptor `while_open` ends.

    A second signal ends the process at once, whatever is being answered.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    if while_open is not None:
        loop.add_reader(while_open, stop.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with server.lifespan():
        logger.info("serving at %s", listener.getsockname())
        async with server.listening(listener, graceful_stop_s=graceful_stop_s):
            await stop.wait()
            if while_open is not None:
                loop.remove_reader(while_open)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)
    logger.info("stopped")


def _raise_max_open_files() -> int:
    """Let this process open as many files as it may, if that is a number; return how many it can."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return 1 << 20 if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
