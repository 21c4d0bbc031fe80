"""uvicorn's HTTP protocol within bounds: `uvicorn --http config.http_protocol:BoundedProtocol`.

uvicorn 0.54 takes headers of any size. It also waits for ever: for a connection's first byte, for the rest of
headers and bodies, and for clients that do not read. Here one check a second of all connections ends those
that are late, so a request costs no timer. Clients of HTTP/1.0 get no chunks. An answer's headers go out with
the first bytes of its body, in one write: each write is a system call.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import ClassVar, Literal, cast
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from config.http_connections import ConnectionLimits, Connections
from core.addresses import network_of
from core.disconnects import DISCONNECT
from core.lazy_event import LazyEvent

CONTROLS = bytes({*range(32), 127} - {*b"\t\r\n"})  # no header may hold them
REASONS = {
    408: "The request timed out.",
    413: "The request body is too large.",
    431: "The request headers are too large.",
    503: "Too many connections. Try again shortly.",
}


FILE_PATHS = ("/v1/files",)  # their bodies go to the storage as they come

# Of all connections that send no request before the last one was answered: a deque of each takes 0.8 KiB.
NOBODY_WAITS: deque[tuple[RequestResponseCycle, ASGI3Application]] = deque(maxlen=0)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `_reading` says which part of a request comes next: headers, the body, or nothing."""

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    # With uvicorn's own attributes these would be too many for Python's compact objects: 1.5 KiB more.
    __slots__ = (
        "_address",
        "_answering",
        "_body_bytes",
        "_chunk_bytes",
        "_connections",
        "_has_answered",
        "_headers_bytes",
        "_is_file",
        "_parser_error_status",
        "_reading",
        "_silent_s",
        "_unread_s",
        "_waited_s",
    )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse a connection that is one too many."""
        self._reading: Literal["nothing", "headers", "body"] = "nothing"
        # In checks, one a second.
        self._waited_s = 0
        self._silent_s = 0
        self._unread_s = 0
        self._headers_bytes = 0
        self._body_bytes = 0
        self._is_file = False  # the body that is being read
        self._chunk_bytes = 0  # of what is being parsed
        self._parser_error_status = 400
        self._answering: RequestResponseCycle | None = None
        self._has_answered = False
        super().connection_made(transport)  # type: ignore[arg-type]
        self.flow = Flow(self.transport)
        self.pipeline = NOBODY_WAITS
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
            cast(Cycle, self._answering).disconnects.notify()

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
        self._begin_request()
        self._is_file = self.scope["path"] in FILE_PATHS and self.scope["method"] == "POST"

    def on_body(self, body: bytes) -> None:
        """Bound a body's bytes, whatever its headers said."""
        self._silent_s = 0
        self._body_bytes += len(body)
        if self._body_bytes > (self.limits.file_bytes if self._is_file else self.limits.body_bytes):
            self._abort_parsing(413)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request."""
        self._reading = "nothing"
        self._waited_s = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the wait for the next request, or for the rest of this one's body.

        uvicorn starts a timer here. The check of all connections ends those that nobody uses.
        """
        self._waited_s = 0
        self._has_answered = True
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

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
        if self.transport.is_closing() or self.flow.write_paused:
            self._check_unread()
            return
        self._unread_s = 0
        is_answering = self._answering is not None and not self._answering.response_complete
        if self._reading == "body":
            self._check_body_deadline()
        elif not is_answering:
            self._check_head_deadline()

    def _check_unread(self) -> None:
        """End the connection of a client that takes nothing of what was written."""
        self._unread_s += 1
        if self._unread_s > self.limits.unread_for_s:
            self.transport.abort()

    def _check_head_deadline(self) -> None:
        """End an idle connection, and one whose request's head does not come."""
        self._waited_s += 1
        if self._reading == "nothing" and self._has_answered:
            if self._waited_s > self.timeout_keep_alive:
                self.transport.close()
        elif self._waited_s > self.limits.headers_within_s:
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
        elif self._silent_s > limits.body_silent_for_s or self._waited_s > self._body_within_s:
            cycle.disconnected = True
            cycle.message_event.set()
            self._refuse(408)

    @property
    def _body_within_s(self) -> int:
        return self.limits.file_within_s if self._is_file else self.limits.body_within_s

    def _begin_request(self) -> None:
        """Have the app called with the request whose headers are complete, as uvicorn does it."""
        parser = self.parser
        scope = self.scope
        http_version = parser.get_http_version()
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = http_version
        scope["path"] = self.root_path + path
        scope["raw_path"] = self.root_path.encode("ascii") + url.path
        scope["query_string"] = url.query or b""
        last_cycle = self.cycle
        cycle = self.cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=cast(asyncio.Event, LazyEvent()),
            expect_100_continue=self.expect_100_continue,
            keep_alive=http_version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        cycle.disconnects = RequestDisconnects()
        scope["extensions"] = cast("dict[str, dict[object, object]]", {DISCONNECT: cycle.disconnects})
        if last_cycle is None or last_cycle.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            if self.pipeline is NOBODY_WAITS:
                self.pipeline = deque()
            self.pipeline.appendleft((cycle, self.app))

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


class Flow(FlowControl):
    """uvicorn's flow control, without an event while the client reads."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = False
        self.write_paused = False
        self._is_writable_event = cast(asyncio.Event, LazyEvent())
        self._is_writable_event.set()


class Cycle(RequestResponseCycle):
    """One request and its answer. `send` keeps the headers back until it can write them with the body."""

    _head = b""
    disconnects: "RequestDisconnects"  # what tells the app that its client hung up

    async def send(self, message: ASGISendEvent) -> None:
        """Take a message from the app, as uvicorn does."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._send_part(message.get("body", b""), has_more=message.get("more_body", False))
        elif message["type"] == "http.response.start" and not self.response_started:
            self._begin(message["status"], list(message.get("headers", [])))
        else:
            raise RuntimeError(f"Unexpected ASGI message '{message['type']}'.")

    def can_write(self) -> bool:
        """Return whether a part of a stream may be written now."""
        return not (self.flow.write_paused or self.disconnected or self.response_complete)

    def write(self, part: bytes) -> None:
        """Write a part of a stream at once."""
        self._send_part(part, has_more=True)

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        lines = 2  # with the status and the empty one
        parts = [STATUS_LINE[status]]
        has_connection_close = False
        for sent_name, value in self.default_headers + headers:
            name = _header_name(sent_name)
            if name == b"content-length" and self.chunked_encoding is None:
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self.expected_content_length = 0
                self.chunked_encoding = True
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive = False
                has_connection_close = True
            parts += (name, b": ", value, b"\r\n")
            lines += 1
        if not self.keep_alive and not has_connection_close:
            parts.append(b"connection: close\r\n")
            lines += 1
        has_body = self.scope["method"] != "HEAD" and status not in (204, 304)
        if self.chunked_encoding is None and has_body:
            self.chunked_encoding = True
            parts.append(b"transfer-encoding: chunked\r\n")
            lines += 1
        parts.append(b"\r\n")
        self._head = b"".join(parts)
        _check_lines(self._head, lines)
        if self.chunked_encoding:
            self.disconnects.offer_writing(self)
        if self.chunked_encoding or self.scope["http_version"] == "1.0":
            # A stream's first part may come much later; if it comes at once, both go out together.
            asyncio.get_running_loop().call_soon(self._flush_head)

    def _flush_head(self) -> None:
        if self._head and not self.disconnected:
            self.transport.write(self._head)
            self._head = b""

    def _send_part(self, body: bytes, *, has_more: bool) -> None:
        data = self._framed(body, has_more=has_more)
        if self._head and (data or not has_more):
            data = self._head + data
            self._head = b""
        if data:
            self.transport.write(data)
        if has_more:
            return
        if self.expected_content_length != 0:
            raise RuntimeError("Response content shorter than Content-Length")
        self.response_complete = True
        self.disconnects.end()
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _framed(self, body: bytes, *, has_more: bool) -> bytes:
        """Return what goes out for a part of the body."""
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            return b""
        if self.chunked_encoding:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk if has_more else chunk + b"0\r\n\r\n"
        if len(body) > self.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        self.expected_content_length -= len(body)
        return body


class RequestDisconnects:
    """The extension of one request's scope. It knows the cycle, which knows the scope, only during a stream.

    Else each request would be a circle that only the garbage collector ends.
    """

    __slots__ = ("_callback", "_has_disconnected", "_writer")

    def __init__(self) -> None:
        self._callback: Callable[[], object] | None = None
        self._has_disconnected = False
        self._writer: Cycle | None = None  # of a stream, from its head to its end

    def watch_disconnect(self, callback: Callable[[], object]) -> None:
        """Call back once if the client hangs up before its answer is complete."""
        self._callback = callback
        if self._has_disconnected:
            self.notify()

    def unwatch_disconnect(self) -> None:
        """Remove all callbacks."""
        self._callback = None

    def offer_writing(self, cycle: Cycle) -> None:
        """Let the app write parts of a stream at once."""
        self._writer = cycle

    def can_write(self) -> bool:
        """Return whether a part of a stream may be written now."""
        return self._writer is not None and self._writer.can_write()

    def write(self, part: bytes) -> None:
        """Write a part of a stream at once."""
        assert self._writer
        self._writer.write(part)

    def end(self) -> None:
        """Forget who watches and who writes: the answer is complete."""
        self._callback = None
        self._writer = None

    def notify(self) -> None:
        """Call the one back who waits for it."""
        self._has_disconnected = True
        self._writer = None
        callback, self._callback = self._callback, None
        if callback:
            callback()


@lru_cache(maxsize=256)
def _header_name(name: bytes) -> bytes:
    """Return a header's name in lower case. Raises RuntimeError where it can't be one."""
    if HEADER_RE.search(name):
        raise RuntimeError("Invalid HTTP header name.")
    return name.lower()


def _check_lines(head: bytes, count: int) -> None:
    """Raise RuntimeError where a value in a head holds a line's end or another control character.

    Counting in all of it takes a tenth of what a pattern takes for each value.
    """
    ends = (head.count(b"\r"), head.count(b"\n"), head.count(b"\r\n"))
    if ends != (count, count, count) or len(head.translate(None, CONTROLS)) != len(head):
        raise RuntimeError("Invalid HTTP header value.")


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
