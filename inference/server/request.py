"""One request and its answer, as the app sees them: ASGI's `receive` and `send`, and `core.http`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

type Scope = dict[str, Any]
type Message = Mapping[str, Any]
type App = Callable[
    [Scope, Callable[[], Awaitable[dict[str, Any]]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
type Header = tuple[bytes, bytes]

logger = logging.getLogger(__name__)
CONTROLS = bytes({*range(32), 127} - {*b"\t"})  # no header may hold them
STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FAILED = b"Internal Server Error"
FAILED_HEADERS = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(FAILED))]


class Connection(Protocol):
    """What a request needs of its connection."""

    transport: asyncio.Transport
    is_write_paused: bool

    @property
    def date_line(self) -> bytes:
        """The header `date` of this second, as a line."""

    def resume_reading(self) -> None:
        """Read on: the app waits for the body."""

    async def until_writable(self) -> None:
        """Return once the client has read enough of what was written, or left."""

    def answered(self) -> None:
        """Go on to the next request."""


class Request:
    """One request. Its connection refers to it until it is answered; its scope's extension is itself."""

    __slots__ = (
        "__weakref__",
        "_body_parts",
        "_callback",
        "_connection",
        "_has_chunks",
        "_head",
        "_is_delivered",
        "_is_head",
        "_is_http_1_1",
        "_left_bytes",
        "_waiting",
        "body_has_chunks",
        "expects_continue",
        "has_begun",
        "has_whole_body",
        "is_complete",
        "is_disconnected",
        "keep_alive",
        "unread_bytes",
    )

    def __init__(
        self,
        connection: Connection,
        *,
        is_http_1_1: bool,
        is_head: bool,
        keep_alive: bool,
        has_chunks: bool = False,
    ) -> None:
        self._connection = connection
        self.body_has_chunks = has_chunks
        self._is_http_1_1 = is_http_1_1
        self.keep_alive = keep_alive
        self.expects_continue = False
        self._body_parts: list[bytes] = []  # that have come and were not taken yet
        self.unread_bytes = 0  # their size
        self.has_whole_body = False
        self.is_complete = False  # the answer was written
        self.is_disconnected = False
        self._is_delivered = False  # the app has the whole body
        self._waiting: asyncio.Future[None] | None = None  # of the app in `receive`
        self._callback: Callable[[], object] | None = None
        self.has_begun = False  # the answer
        self._is_head = is_head
        self._head = b""  # held back until it can be written with the first bytes of the body
        self._has_chunks = False
        self._left_bytes: int | None = None  # of an answer that declares its length

    async def run(self, app: App, scope: Scope) -> None:
        """Call the app; answer 500 for an app that fails before it answers, else break the connection."""
        try:
            await app(scope, self.receive, self.send)
            if not (self.is_complete or self.is_disconnected):
                logger.error("the app returned without an answer, or with a part of it")
        except asyncio.CancelledError:
            if not self.is_complete:
                self._connection.transport.close()
            raise
        except Exception:
            logger.exception("the app failed")
        if self.is_complete or self.is_disconnected:
            return
        if self.has_begun and not self._head:
            self._connection.transport.close()
            return
        self._head, self.has_begun, self.keep_alive = b"", False, False
        self._has_chunks, self._left_bytes = False, None
        await self.send({"type": "http.response.start", "status": 500, "headers": FAILED_HEADERS})
        await self.send({"type": "http.response.body", "body": FAILED})

    async def receive(self) -> dict[str, Any]:
        """Return what has come of the body; after all of it, wait until the client has left."""
        while not (self.is_disconnected or self.is_complete):
            if self._body_parts or (self.has_whole_body and not self._is_delivered):
                body = b"".join(self._body_parts)
                self._body_parts.clear()
                self.unread_bytes = 0
                self._is_delivered = self.has_whole_body
                return {"type": "http.request", "body": body, "more_body": not self.has_whole_body}
            if self.expects_continue and not self.has_begun:
                self.expects_continue = False
                self._connection.transport.write(CONTINUE)
            self._connection.resume_reading()
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return {"type": "http.disconnect"}

    def take_body(self) -> bytes | None:
        """Return the whole body if it is here and `receive` has returned none of it; else None."""
        if not self.has_whole_body or self._is_delivered or self.is_disconnected or self.is_complete:
            return None
        self._is_delivered = True
        body = b"".join(self._body_parts)
        self._body_parts.clear()
        self.unread_bytes = 0
        return body

    def add_body(self, part: bytes) -> None:
        """Keep a part of the body for the app. Joining each as it comes would cost their number squared."""
        self._body_parts.append(part)
        self.unread_bytes += len(part)
        if self._waiting:
            self.wake()

    def wake(self) -> None:
        """Let the app go on that waits in `receive`."""
        waiting, self._waiting = self._waiting, None
        if waiting and not waiting.done():
            waiting.set_result(None)

    def disconnect(self) -> None:
        """Tell the app that the client has left."""
        self.is_disconnected = True
        self.wake()
        callback, self._callback = self._callback, None
        try:
            if callback:
                callback()
        except Exception:
            logger.exception("what watches for a client's leaving failed")

    async def send(self, message: Message) -> None:
        """Take the head or a part of the answer. A client that does not read holds the app up."""
        if self._connection.is_write_paused and not self.is_disconnected:
            await self._connection.until_writable()
        if self.is_disconnected:
            return
        if message["type"] == "http.response.start" and not self.has_begun:
            self._begin(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body" and self.is_complete:
            return  # all that was declared is written already
        elif message["type"] == "http.response.body" and self.has_begun:
            self._send_part(message.get("body", b""), has_more=message.get("more_body", False))
        else:
            raise RuntimeError(f"Unexpected ASGI message '{message['type']}'.")

    def can_write(self) -> bool:
        """Return whether a part of a stream may be written now."""
        is_stream = self._has_chunks and not self.is_complete
        return is_stream and not (self._connection.is_write_paused or self.is_disconnected)

    def answer(self, status: int, headers: list[Header], body: bytes) -> bool:
        """Write a whole answer at once; return False, and write nothing, where its client must read first.

        The headers are about the answer alone; what frames it is added here. ASGI's two messages would be
        two more coroutines for each answer.
        """
        if self._connection.is_write_paused and not self.is_disconnected:
            return False
        if self.is_disconnected or self.is_complete:
            return True
        if self.expects_continue or self.body_has_chunks:
            self._decide_keep_alive()
        framed = [*headers, (b"content-length", b"%d" % len(body))]
        if not self.keep_alive:
            framed.append((b"connection", b"close"))
        lines = b"\r\n".join(map(b": ".join, framed))
        head = b"%b%b%b\r\n\r\n" % (STATUS_LINES[status], self._connection.date_line, lines)
        _check_lines(head, len(framed) + 3)
        self.has_begun = True
        self._connection.transport.write(head if self._is_head else head + body)
        self._end()
        return True

    def write(self, part: bytes) -> None:
        """Write a part of a stream at once."""
        self._send_part(part, has_more=True)

    def watch_disconnect(self, callback: Callable[[], object]) -> None:
        """Call back once if the client hangs up before its answer is complete."""
        self._callback = callback
        if self.is_disconnected:
            self.disconnect()

    def unwatch_disconnect(self) -> None:
        """Remove the callback."""
        self._callback = None

    def _decide_keep_alive(self) -> None:
        """End the connection with an answer that comes before its request's whole body."""
        if self.expects_continue or (self.body_has_chunks and not self.has_whole_body):
            self.keep_alive = False  # the client may send it all the same; chunks would have to be parsed

    def _begin(self, status: int, headers: Iterable[Header]) -> None:
        self._decide_keep_alive()
        status_line = STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        lines = [status_line, self._connection.date_line]
        for name, value in headers:
            lowered = name.lower()
            if lowered == b"connection":
                self.keep_alive = self.keep_alive and b"close" not in value.lower()
            elif lowered != b"transfer-encoding":
                lines.append(b"%b: %b\r\n" % (name, value))
            if lowered == b"content-length":
                self._left_bytes = int(value)
        has_body = not self._is_head and status >= 200 and status not in (204, 304)
        if not has_body:
            self._left_bytes = 0
        elif self._left_bytes is None:
            if self._is_http_1_1:
                self._has_chunks = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:  # the end of the connection is the end of the answer
                self.keep_alive = False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        _check_lines(head, len(lines))
        self._head, self.has_begun = head, True
        if has_body and self._left_bytes is None:
            # A stream's first part may come much later; if it comes at once, both go out together.
            asyncio.get_running_loop().call_soon(self._flush_head)

    def _flush_head(self) -> None:
        if self._head and not self.is_disconnected:
            self._connection.transport.write(self._head)
            self._head = b""

    def _send_part(self, body: bytes, *, has_more: bool) -> None:
        data = self._framed(body, has_more=has_more)
        if self._head and (data or not has_more):
            data = self._head + data
            self._head = b""
        if data:
            self._connection.transport.write(data)
        if has_more and self._left_bytes != 0:
            return
        if self._left_bytes:
            raise RuntimeError("The answer is shorter than its content-length.")
        self._end()

    def _end(self) -> None:
        """Note that all is written."""
        self.is_complete = True
        self._callback = None
        if self._waiting:
            self.wake()
        self._connection.answered()

    def _framed(self, body: bytes, *, has_more: bool) -> bytes:
        """Return what goes out for a part of the body."""
        if self._has_chunks:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk if has_more else chunk + b"0\r\n\r\n"
        if self._is_head:
            return b""
        if self._left_bytes is not None:
            self._left_bytes -= len(body)
            if self._left_bytes < 0:
                raise RuntimeError("The answer is longer than its content-length.")
        return body


def _check_lines(head: bytes, count: int) -> None:
    """Raise RuntimeError where a header holds a control character: all that there are end its lines.

    Counting in all of it takes a tenth of what a pattern takes for each value.
    """
    controls = len(head) - len(head.translate(None, CONTROLS))
    if head.count(b"\r\n") != count or controls != 2 * count:
        raise RuntimeError("Invalid header.")
