"""uvicorn's HTTP protocol within bounds: `uvicorn --http config.http_protocol:BoundedProtocol`.

uvicorn 0.54 takes headers of any size, and waits for ever for a connection's first byte, for the rest of
headers and bodies, and for clients that don't read. Here one look a second at all connections ends those that
are late; a request costs no timer. Clients of HTTP/1.0 get no chunks.
"""

import asyncio
import resource
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, Literal

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from config import env
from foundation.addresses import network_of

SWEEP_EVERY_S = 1.0
REASONS = {
    408: "The request did not arrive in time.",
    413: "The request body is too large.",
    431: "The request headers are too large.",
    503: "Too many connections. Try again shortly.",
}


@dataclass(frozen=True)
class Limits:
    """What a connection may take. Times are in seconds, counted in looks."""

    connections: int = env.read_int("HTTP_MAX_CONNECTIONS")
    connections_per_address: int = env.read_int("HTTP_MAX_CONNECTIONS_PER_ADDRESS")
    headers_bytes: int = 32 * 1024
    headers_within_s: int = 10
    body_bytes: int = 8 * 1024 * 1024
    body_silent_for_s: int = 30
    body_within_s: int = 120
    body_after_answer_s: int = 5  # what still comes of a body that was answered is thrown away
    unread_for_s: int = 30
    pipelined: int = 4


class Connections:
    """All connections of one server, and the look at them."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._most = limits, min(limits.connections, _most_files() * 3 // 4)
        self._by_address: Counter[str] = Counter()
        self._open: set[BoundedProtocol] = set()
        self._sweeping: asyncio.TimerHandle | None = None

    def add(self, connection: "BoundedProtocol", address: str) -> bool:
        """Count a connection; return False when there are too many. `address` is "" for those of proxies."""
        self._open.add(connection)
        if address:
            self._by_address[address] += 1
        if self._sweeping is None:
            self._sweeping = connection.loop.call_later(SWEEP_EVERY_S, self._sweep, connection.loop)
        return (
            len(self._open) <= self._most
            and self._by_address[address] <= self._limits.connections_per_address
        )

    def remove(self, connection: "BoundedProtocol", address: str) -> None:
        """Count a connection no more."""
        self._open.discard(connection)
        if address:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        for connection in tuple(self._open):
            connection.look()
        self._sweeping = loop.call_later(SWEEP_EVERY_S, self._sweep, loop) if self._open else None


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `_reads` says what is being read of a request: its headers, its body, or nothing."""

    limits: ClassVar[Limits] = Limits()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse a connection that is one too many."""
        self._reads: Literal["nothing", "headers", "body"] = "nothing"
        self._late_s = self._silent_s = self._unread_s = 0
        self._headers_bytes = self._body_bytes = self._came_bytes = 0
        self._status = 400
        self._answering: RequestResponseCycle | None = None
        super().connection_made(transport)  # type: ignore[arg-type]
        self._address = network_of(self.client[0]) if self.client and not self._is_proxy() else ""
        if "connections" not in self.app_state:
            self.app_state["connections"] = Connections(self.limits)
        self._all: Connections = self.app_state["connections"]
        if not self._all.add(self, self._address):
            self._refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered, also where the client has sent another one behind it."""
        self._all.remove(self, self._address)
        super().connection_lost(exc)
        if self._answering and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Bound headers that are not complete yet."""
        if self.transport.is_closing():
            return
        self._came_bytes = len(data)
        super().data_received(data)
        if self._reads == "headers":
            self._headers_bytes += len(data)
            if self._headers_bytes > self.limits.headers_bytes and not self.transport.is_closing():
                self._refuse(431)

    def on_message_begin(self) -> None:
        """Begin to count a request's headers."""
        self._reads, self._late_s, self._headers_bytes = "headers", 0, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Bound headers that came whole, and requests that are sent before the last one was answered."""
        limits = self.limits
        if self._headers_bytes + self._came_bytes > limits.headers_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limits.headers_bytes:
                self._break(431)
        if len(self.pipeline) >= limits.pipelined:
            self._break(503)
        self._reads, self._late_s, self._silent_s, self._body_bytes = "body", 0, 0, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Bound a body's bytes, whatever its headers said."""
        self._silent_s = 0
        self._body_bytes += len(body)
        if self._body_bytes > self.limits.body_bytes:
            self._break(413)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request."""
        self._reads, self._late_s = "nothing", 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin to wait anew, for the next request or for the rest of this one."""
        self._late_s = 0
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Tell what was wrong with a request that the parser gave up."""
        if self.cycle and self.cycle.response_complete and self._reads == "body":
            self.transport.close()  # it has been answered
        elif self._status == 400:
            super().send_400_response(msg)
        else:
            self._refuse(self._status)

    def look(self) -> None:
        """End what is late. Called once a second."""
        limits = self.limits
        if self.transport.is_closing() or self.flow.write_paused:
            self._unread_s += 1
            if self._unread_s > limits.unread_for_s:
                self.transport.abort()
            return
        self._unread_s = 0
        is_answering = self._answering is not None and not self._answering.response_complete
        if self._reads == "body":
            self._look_at_body()
        elif not is_answering:
            self._late_s += 1
            keep_s = limits.headers_within_s
            if self._reads == "nothing":
                keep_s = max(keep_s, self.timeout_keep_alive)
            if self._late_s > keep_s:
                self._refuse(408)

    def _look_at_body(self) -> None:
        limits, cycle = self.limits, self.cycle
        if self.flow.read_paused:  # it is for us to go on
            return
        self._late_s += 1
        self._silent_s += 1
        if cycle.response_complete:
            if self._late_s > limits.body_after_answer_s:
                self.transport.close()
        elif self._silent_s > limits.body_silent_for_s or self._late_s > limits.body_within_s:
            cycle.disconnected = True
            cycle.message_event.set()
            self._refuse(408)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        if cycle.scope["http_version"] == "1.0":
            app = _UntilClose(app, cycle)
        super()._start_asgi_task(cycle, app)

    def _break(self, status: int) -> None:
        """Let the parser give up; `send_400_response` follows."""
        self._status = status
        raise ValueError(REASONS[status])

    def _refuse(self, status: int) -> None:
        """Answer without a look at what was asked, and close."""
        text = REASONS[status].encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(text)}\r\nconnection: close\r\n"
        )
        if status == 503:
            head += "retry-after: 1\r\n"
        is_answering = self._answering is not None and self._answering.response_started
        if not is_answering or (self._answering and self._answering.response_complete):
            self.transport.write(head.encode() + b"\r\n" + text)
        self.transport.close()

    def _is_proxy(self) -> bool:
        """Return True for a proxy whose `X-Forwarded-For` counts: many clients come through one address."""
        return (
            isinstance(self.app, ProxyHeadersMiddleware)
            and self.client is not None
            and self.client[0] in self.app.trusted_hosts
        )


class _UntilClose:
    """An app for a client of HTTP/1.0: an answer of unknown length ends with its connection."""

    def __init__(self, app: ASGI3Application, cycle: RequestResponseCycle) -> None:
        self._app, self._cycle = app, cycle

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        cycle, has_length = self._cycle, False

        async def plainly(message: ASGISendEvent) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                has_length = any(name.lower() == b"content-length" for name, _ in message.get("headers", []))
                if not has_length:
                    cycle.chunked_encoding = False
            elif message["type"] == "http.response.body" and not has_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, plainly)


def _most_files() -> int:
    """Return how many files this process may open, after taking all that it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return 1 << 20 if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
