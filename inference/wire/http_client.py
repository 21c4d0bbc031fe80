"""HTTP/1.1 to the engines: kept-alive connections, and answers as their bytes arrive.

It replaces a client library, because aiohttp took a third of the gateway's time per request.
"""

import asyncio
import re
import select
import ssl
from collections import defaultdict
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httptools

from core.lazy_event import LazyEvent
from inference.errors import EngineBroke, EngineSilent, EngineUnavailable

UNIX = "unix"
CONNECT_WITHIN_S = 2
# An engine may close an idle connection just when a request is sent: then it never had the request, which is
# sent again. A connection that breaks later broke while the engine had the request, which is not sent again.
IDLE_CLOSE_WITHIN_S = 0.5
SILENT_FOR_S = 600  # the longest silence of an engine: a long prompt on a slow one
# A client that reads slowly holds up its own engine connection, not this process's memory.
BUFFERED_MAX_BYTES = 256 * 1024
# The only header that matters (engine/extensions/polyscribe_guard.py). It is looked for in the whole head: a
# callback for each header would be five calls for each answer.
WATERMARK_EPOCH = re.compile(rb"\r\nx-watermark-epoch:[ \t]*([^\r\n]*)\r\n")
HEAD_END = b"\r\n\r\n"
MAX_IDLE = 256  # connections to one engine that wait for a request; more are closed


class Response:
    """An answer that arrives. Closing it before its end breaks the connection, which stops the engine."""

    def __init__(self, connection: "Connection") -> None:
        loop = asyncio.get_running_loop()
        # Done when the first bytes of the body have arrived, or its end. Its exception is EngineBroke.
        self.begun: asyncio.Future[None] = loop.create_future()
        self.status = 0
        self.watermark_epoch = ""
        self.has_begun = False
        self.timed_out = False
        self._connection = connection
        self._parts: list[bytes] = []
        self._buffered_bytes = 0
        self.is_complete = False
        self._error: EngineBroke | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._receiver: Callable[[bytes], bool] | None = None
        self._failure: Exception | None = None  # of the receiver

    async def read(self) -> bytes:
        """Return the whole body. Raises EngineBroke."""
        parts = []
        while part := await self.part():
            parts.append(part)
        return b"".join(parts)

    async def part(self) -> bytes:
        """Return all bytes that have arrived, once there are some; b"" at the end. Raises EngineBroke."""
        # This is no generator: asyncio keeps a record of each, which costs more than the rest of an answer.
        while not self._parts or self._failure:
            if self._failure:
                raise self._failure
            if self._error:
                raise self._error
            if self.is_complete:
                return b""
            await self._wait_for_arrival()
        part = b"".join(self._parts)
        self._parts = []
        self._buffered_bytes = 0
        return part

    def pass_to(self, receiver: Callable[[bytes], bool]) -> None:
        """Give bytes to a function as they arrive while `part` waits, which then returns only others.

        It returns False for bytes that it does not take now. What it raises, `part` raises.
        """
        self._receiver = receiver

    def close(self) -> None:
        """Break the connection, unless the answer is complete."""
        if not self.is_complete:
            # vLLM stops a request whose connection breaks.
            self._connection.transport.abort()

    async def _wait_for_arrival(self) -> None:
        self._connection.resume()
        self._arrival = self._connection.loop.create_future()
        await self._arrival
        self._arrival = None

    # The connection calls these.

    def receive(self, parts: list[bytes]) -> None:
        if self._receiver and self._is_passed_on(parts):
            return
        self._parts += parts
        self._buffered_bytes += sum(map(len, parts))
        if self._buffered_bytes > BUFFERED_MAX_BYTES and self._arrival is None:
            self._connection.pause()
        self._notify()

    def _is_passed_on(self, parts: list[bytes]) -> bool:
        """Whether the receiver took these bytes: not before `part` has returned all that came earlier."""
        is_waiting = self._arrival is not None and not self._arrival.done()
        if self._receiver is None or not is_waiting:
            return False
        try:
            return self._receiver(b"".join(parts))
        except Exception as error:  # noqa: BLE001 (`part` raises it)
            self._failure = error
            self._notify()
            return True

    def complete(self) -> None:
        self.is_complete = True
        self._notify()

    def fail(self, error: EngineBroke) -> None:
        self._error = error
        if not self.begun.done():
            self.begun.set_exception(error)
            self.begun.exception()  # its caller may be gone
        self._notify()

    def _notify(self) -> None:
        if not self.begun.done():
            self.begun.set_result(None)
        if self._arrival and not self._arrival.done():
            self._arrival.set_result(None)


class Connection(asyncio.Protocol):
    """One connection, one request at a time.

    asyncio calls `connection_made`, `data_received` and `connection_lost`; httptools calls `on_…`.
    """

    transport: asyncio.Transport

    def __init__(self, idle: "list[Connection]") -> None:
        self.loop = asyncio.get_running_loop()
        self.closed = LazyEvent()
        self._idle = idle
        self._response: Response | None = None
        self._is_paused = False
        self._silence_timer: asyncio.TimerHandle | None = None
        self._last_data_s = 0.0
        self._head = b""  # of the answer, until all of it is there
        self._body: list[bytes] = []  # what the parser found in the bytes that it reads just now
        self.on_body = self._body.append  # bytes that came at once may hold many chunks
        self._parser = httptools.HttpResponseParser(self)  # making one costs more than parsing an answer
        self._incoming = select.poll()

    def is_closed_by_peer(self) -> bool:
        """Return whether the engine closed this idle connection, even if the event loop has not seen it yet.

        An idle connection has nothing to read but its end. Without this check a request would be written to
        an engine that is gone, and count as one that the engine had.
        """
        return self.transport.is_closing() or bool(self._incoming.poll(0))

    def send(self, request: bytes) -> Response:
        """Write a request; return its answer, of which nothing has arrived yet."""
        self._response = Response(self)
        self._last_data_s = self.loop.time()
        if self._silence_timer is None:
            self._silence_timer = self.loop.call_later(SILENT_FOR_S, self._check_silence)
        self.transport.write(request)
        return self._response

    def pause(self) -> None:
        """Stop reading: the client takes the answer more slowly than the engine writes it."""
        if not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._incoming.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        self._last_data_s = self.loop.time()
        response = self._response
        if response is None:
            self.transport.abort()  # an answer without a request
            return
        if not response.has_begun:
            self._head += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()
        if self._body:
            self._pass_body()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        if self._silence_timer:
            self._silence_timer.cancel()
        if self in self._idle:
            self._idle.remove(self)
        if self._response:
            self._response.fail(EngineSilent() if self._response.timed_out else EngineBroke())

    def on_message_begin(self) -> None:
        """Refuse an answer that nobody awaits: the next request would take its rest for its own."""
        if self._response is None:
            self.transport.abort()
            raise EngineBroke  # which makes the parser give up

    def on_headers_complete(self) -> None:
        response = self._response
        assert response
        head, _, self._head = self._head.partition(HEAD_END)
        status = self._parser.get_status_code()
        if status < 200:  # 100 Continue and other interim answers come before
            return
        self._head = b""
        epoch = WATERMARK_EPOCH.search(head + b"\r\n")
        if epoch:
            response.watermark_epoch = epoch[1].decode("latin-1")
        response.status = status
        response.has_begun = True

    def _pass_body(self) -> None:
        if self._response:
            self._response.receive(self._body)
        self._body.clear()

    def on_message_complete(self) -> None:
        assert self._response
        if self._parser.get_status_code() < 200:
            return
        if self._body:
            self._pass_body()
        response = self._response
        self._response = None
        if self._is_paused:
            self.resume()
        if self._parser.should_keep_alive() and len(self._idle) < MAX_IDLE:
            self._idle.append(self)
        else:
            self.transport.close()
        response.complete()

    def _check_silence(self) -> None:
        """Break a connection whose engine has been silent for too long, else look again later."""
        left_s = self._last_data_s + SILENT_FOR_S - self.loop.time()
        if self._response and left_s <= 0:
            self._response.timed_out = True
            self.transport.abort()
        else:
            delay_s = left_s if left_s > 0 else SILENT_FOR_S
            self._silence_timer = self.loop.call_later(delay_s, self._check_silence)


class Address(NamedTuple):
    """Where an engine is, and the header line that says so."""

    scheme: str
    host: str
    port: int
    host_line: str


class HttpClient:
    """Connections to all engines of a process."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[Connection]] = defaultdict(list)
        self._tls: ssl.SSLContext | None = None  # reading all root certificates takes 20 ms

    def post(self, url: str, path: str, headers: str, body: bytes) -> Coroutine[Any, Any, Response]:
        """Return the answer once it has begun. `headers` are whole lines, each with its line end.

        Awaiting it raises EngineUnavailable when the engine can't be reached, EngineBroke when it had the
        request.
        """
        address = _parse_address(url)
        head = f"POST {path} HTTP/1.1\r\n{address.host_line}{headers}content-length: {len(body)}\r\n\r\n"
        return self._send(address, head.encode() + body)

    def get(self, url: str, path: str, headers: str) -> Coroutine[Any, Any, Response]:
        """Return the answer once it has begun. Awaiting it raises EngineUnavailable or EngineBroke."""
        address = _parse_address(url)
        return self._send(address, f"GET {path} HTTP/1.1\r\n{address.host_line}{headers}\r\n".encode())

    async def aclose(self) -> None:
        """Close all idle connections."""
        for connections in list(self._idle.values()):
            for connection in list(connections):
                connection.transport.abort()
                await connection.closed.wait()

    async def _send(self, address: Address, request: bytes) -> Response:
        loop = asyncio.get_running_loop()
        was_sent = False
        while True:
            connection = self._take_idle(address)
            is_reused = connection is not None
            try:
                connection = connection or await self._connect(address)
            except EngineUnavailable as error:
                if was_sent:  # the last connection was not closed for being idle: the engine stopped
                    raise EngineBroke from error
                raise
            response = connection.send(request)
            was_sent = True
            sent_s = loop.time()
            try:
                await response.begun
            except EngineBroke:
                is_at_once = loop.time() - sent_s < IDLE_CLOSE_WITHIN_S
                # All four together mean that the engine had closed the connection and never read the request.
                if is_reused and is_at_once and not response.has_begun and not response.timed_out:
                    continue
                raise
            except BaseException:
                # The caller was cancelled. Breaking the connection tells the engine to stop.
                response.close()
                raise
            return response

    def _take_idle(self, address: Address) -> Connection | None:
        """Return a connection that was used before, if there is one."""
        idle = self._idle[address]
        while idle:
            # The last one used is the least likely to have been closed for being idle.
            connection = idle.pop()
            if not connection.is_closed_by_peer():
                return connection
        return None

    async def _connect(self, address: Address) -> Connection:
        """Return a new connection. Raises EngineUnavailable."""
        idle = self._idle[address]
        scheme, host, port, _ = address
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                if scheme == UNIX:
                    _, connection = await loop.create_unix_connection(lambda: Connection(idle), host)
                else:
                    tls = self._tls_context() if scheme == "https" else None
                    _, connection = await loop.create_connection(
                        lambda: Connection(idle), host, port, ssl=tls
                    )
        except (OSError, TimeoutError) as error:
            raise EngineUnavailable from error
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


@lru_cache(maxsize=1024)
def _parse_address(url: str) -> Address:
    """Return an address's scheme, host and port; of `unix:///run/engine.sock` the scheme and the path."""
    parts = urlsplit(url)
    if parts.scheme == UNIX:
        return Address(UNIX, parts.path, 0, "host: localhost\r\n")
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Address(parts.scheme, host, port, f"host: {host}:{port}\r\n")
