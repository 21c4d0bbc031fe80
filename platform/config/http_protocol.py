"""uvicorn's HTTP protocol within bounds: `uvicorn --http config.http_protocol:BoundedProtocol`.

uvicorn 0.54 takes headers of any size. It also waits for ever: for a connection's first byte, for the rest of
headers and bodies, and for clients that do not read. Here one check a second of all connections ends those
that are late, so a request costs no timer. Clients of HTTP/1.0 get no chunks.
"""

import asyncio
from http import HTTPStatus
from typing import ClassVar, Literal

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from config.http_connections import Connections, Limits
from foundation.addresses import network_of

REASONS = {
    408: "The request did not arrive in time.",
    413: "The request body is too large.",
    431: "The request headers are too large.",
    503: "Too many connections. Try again shortly.",
}


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `_reading` says which part of a request comes next: headers, the body, or nothing."""

    limits: ClassVar[Limits] = Limits()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse a connection that is one too many."""
        self._reading: Literal["nothing", "headers", "body"] = "nothing"
        # In checks, one a second.
        self._waited_s = 0
        self._silent_s = 0
        self._unread_s = 0
        self._headers_bytes = 0
        self._body_bytes = 0
        self._chunk_bytes = 0  # of what is being parsed
        self._parser_error_status = 400
        self._answering: RequestResponseCycle | None = None
        super().connection_made(transport)  # type: ignore[arg-type]
        self._address = ""
        if self.client and not self._is_from_proxy():
            self._address = network_of(self.client[0])
        if "connections" not in self.app_state:
            self.app_state["connections"] = Connections(self.limits)
        self._connections: Connections = self.app_state["connections"]
        if not self._connections.add(self, self._address):
            self._refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the app of the request that is being answered.

        uvicorn tells only the last request, and the client may have sent another one behind this one.
        """
        self._connections.remove(self, self._address)
        super().connection_lost(exc)
        if self._answering and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Bound headers that are still incomplete."""
        if self.transport.is_closing():
            return
        self._chunk_bytes = len(data)
        super().data_received(data)
        if self._reading == "headers":
            self._headers_bytes += len(data)
            if self._headers_bytes > self.limits.headers_bytes and not self.transport.is_closing():
                self._refuse(431)

    def on_message_begin(self) -> None:
        """Start to count a request's headers."""
        self._reading = "headers"
        self._waited_s = 0
        self._headers_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Bound headers that came at once, and requests that come before the last one was answered."""
        limits = self.limits
        if self._headers_bytes + self._chunk_bytes > limits.headers_bytes:
            # That sum may count a body that came with the headers.
            exact_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if exact_bytes > limits.headers_bytes:
                self._abort_parsing(431)
        if len(self.pipeline) >= limits.pipelined:
            self._abort_parsing(503)
        self._reading = "body"
        self._waited_s = 0
        self._silent_s = 0
        self._body_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Bound a body's bytes, whatever its headers said."""
        self._silent_s = 0
        self._body_bytes += len(body)
        if self._body_bytes > self.limits.body_bytes:
            self._abort_parsing(413)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request."""
        self._reading = "nothing"
        self._waited_s = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the wait for the next request, or for the rest of this one's body."""
        self._waited_s = 0
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Say what was wrong with a request that the parser gave up."""
        if self.cycle and self.cycle.response_complete and self._reading == "body":
            self.transport.close()  # it was answered before its body had come
        elif self._parser_error_status == 400:
            super().send_400_response(msg)
        else:
            self._refuse(self._parser_error_status)

    def check_deadlines(self) -> None:
        """End the connection if it is late. Called once a second."""
        limits = self.limits
        if self.transport.is_closing() or self.flow.write_paused:
            self._unread_s += 1
            if self._unread_s > limits.unread_for_s:
                self.transport.abort()
            return
        self._unread_s = 0
        is_answering = self._answering is not None and not self._answering.response_complete
        if self._reading == "body":
            self._check_body_deadline()
        elif not is_answering:
            self._waited_s += 1
            within_s = limits.headers_within_s
            if self._reading == "nothing":
                within_s = max(within_s, self.timeout_keep_alive)
            if self._waited_s > within_s:
                self._refuse(408)

    def _check_body_deadline(self) -> None:
        limits = self.limits
        cycle = self.cycle
        if self.flow.read_paused:  # the client waits for the app, not the app for the client
            return
        self._waited_s += 1
        self._silent_s += 1
        if cycle.response_complete:
            if self._waited_s > limits.body_after_answer_s:
                self.transport.close()
        elif self._silent_s > limits.body_silent_for_s or self._waited_s > limits.body_within_s:
            cycle.disconnected = True
            cycle.message_event.set()
            self._refuse(408)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        if cycle.scope["http_version"] == "1.0":
            app = _UntilClose(app, cycle)
        super()._start_asgi_task(cycle, app)

    def _abort_parsing(self, status: int) -> None:
        """Make the parser give up; it calls `send_400_response` then."""
        self._parser_error_status = status
        raise ValueError(REASONS[status])

    def _refuse(self, status: int) -> None:
        """Answer without calling the app, and close. While another answer is being written, only close."""
        text = REASONS[status].encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(text)}\r\nconnection: close\r\n"
        )
        if status == 503:
            head += "retry-after: 1\r\n"
        answering = self._answering
        is_writing = answering is not None and answering.response_started and not answering.response_complete
        if not is_writing:
            self.transport.write(head.encode() + b"\r\n" + text)
        self.transport.close()

    def _is_from_proxy(self) -> bool:
        """Return whether this is a trusted proxy: many clients come through its one address."""
        return (
            isinstance(self.app, ProxyHeadersMiddleware)
            and self.client is not None
            and self.client[0] in self.app.trusted_hosts
        )


class _UntilClose:
    """An app for a client of HTTP/1.0: an answer of unknown length ends with its connection."""

    def __init__(self, app: ASGI3Application, cycle: RequestResponseCycle) -> None:
        self._app = app
        self._cycle = cycle

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        cycle = self._cycle
        has_length = False

        async def send_without_chunks(message: ASGISendEvent) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                names = [name.lower() for name, _ in message.get("headers", [])]
                has_length = b"content-length" in names
                if not has_length:
                    cycle.chunked_encoding = False
            elif message["type"] == "http.response.body" and not has_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, send_without_chunks)
