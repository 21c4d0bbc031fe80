"""One connection: it parses requests, one at a time, and ends when a client takes more than it may."""

import asyncio
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import unquote

import httptools

from core.http import DISCONNECT, network_of
from core.lazy_event import LazyEvent
from inference.server.request import STATUS_LINES, Request, Scope

if TYPE_CHECKING:
    from inference.server.server import Server

REASONS = {
    400: "Invalid HTTP request received.",
    408: "The request timed out.",
    413: "The request body is too large.",
    431: "The request headers are too large.",
    501: "This server doesn't switch protocols, and knows no transfer coding but `chunked`.",
    503: "Too many connections. Try again shortly.",
    505: "This server speaks HTTP/1.1 and HTTP/1.0.",
}
READ_BYTES = 64 * 1024  # one-byte chunks of so many bytes take 5 ms
VERSIONS = ("1.1", "1.0")
ASGI = {"version": "3.0", "spec_version": "2.3"}


class HttpConnection(asyncio.BufferedProtocol):
    """One connection. `_reading` says which part of a request comes next: headers, the body, or nothing.

    A body in chunks is dear to parse: in a turn of the loop no more of it is read than fits the buffer.
    """

    # Without a dictionary a connection that is held open takes 1.5 KiB less.
    __slots__ = (
        "_address",
        "_body_bytes",
        "_body_wire_bytes",
        "_headers",
        "_ignored_bytes",
        "_is_ending",
        "_is_file",
        "_is_ignoring",
        "_is_read_paused",
        "_is_turn_over",
        "_packet_bytes",
        "_parser",
        "_parser_error_status",
        "_peer",
        "_pending_bytes",
        "_reading",
        "_request",
        "_scope",
        "_server",
        "_silent_s",
        "_unread_bytes",
        "_unread_s",
        "_url",
        "_waited_s",
        "_writable",
        "is_write_paused",
        "transport",
    )

    def __init__(self, server: "Server") -> None:
        self._server = server
        self.transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._parser_error_status = 400
        self._reading: Literal["nothing", "headers", "body"] = "nothing"
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._packet_bytes = 0  # of what is being parsed
        self._pending_bytes = 0  # since the last head was complete, or the last byte of a body came
        self._body_bytes = 0
        self._body_wire_bytes = 0  # with what frames its chunks, but for the packet that has the headers
        self._is_file = False  # the body that is being read
        self._request: Request | None = None  # the last one
        self._scope: Scope | None = None  # of a request for which the app was not called yet
        self._is_ignoring = False  # what the client sends
        self._is_ending = False  # all is written; the client is given time to read it
        self._ignored_bytes = 0
        self._is_read_paused = False  # until the app takes what was read
        self._is_turn_over = False
        self.is_write_paused = False
        self._writable = LazyEvent()
        self._unread_bytes = 0  # of what was written, at the last check
        # In checks, one a second.
        self._waited_s = 0
        self._silent_s = 0
        self._unread_s = 0
        self._peer: tuple[str, int] | None = None
        self._address = ""  # what counts as one client; "" for a trusted proxy, through which many come

    @property
    def date_line(self) -> bytes:
        """The header `date` of this second, as a line."""
        return self._server.date_line

    @property
    def _is_answering(self) -> bool:
        return self._request is not None and not self._request.is_complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse a connection that is one too many."""
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):  # a Unix domain socket has none
            self._peer = (str(peer[0]), int(peer[1]))
            if not self._server.proxies.trusts(self._peer[0]):
                self._address = network_of(self._peer[0])
        if not self._server.add(self, self._address):
            self._refuse(503)
        elif self._server.is_stopping:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the app that its client has left."""
        self._server.remove(self, self._address)
        self._writable.set()
        if self._request and self._is_answering:
            self._request.disconnect()

    def pause_writing(self) -> None:
        """Hold the app up: the client does not read."""
        self.is_write_paused = True
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let the app go on."""
        self.is_write_paused = False
        self._unread_s = 0
        self._writable.set()

    async def until_writable(self) -> None:
        """Return once the client took enough of what was written, or left."""
        await self._writable.wait()

    def resume_reading(self) -> None:
        """Read on: the app waits for the body."""
        if self._is_read_paused:
            self._is_read_paused = False
            if not self._is_turn_over:
                self.transport.resume_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go: the server's buffer, which is free again once they are parsed."""
        return self._server.read_view

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what came, and call the app for a request whose headers are complete."""
        if self._is_ignoring:
            self._ignore(nbytes)
            return
        if self.transport.is_closing():
            return
        self._packet_bytes = nbytes
        self._pending_bytes += nbytes
        if self._reading == "body":
            self._body_wire_bytes += nbytes
        elif self._reading == "nothing" and not self._begins_with_request_line(nbytes):
            self._refuse_bad_request()
            return
        try:
            self._parser.feed_data(self._server.read_view[:nbytes])
        except httptools.HttpParserUpgrade:
            self._ignore_what_follows()
        except httptools.HttpParserError:
            if not self._is_ignoring:
                self._refuse_bad_request()
        if self._pending_bytes > self._server.limits.headers_bytes:  # of empty lines between requests, too
            self._parser_error_status = 431
            self._refuse_bad_request()
        if self._is_ending or self.transport.is_closing():
            return
        if (
            nbytes == READ_BYTES
            and self._reading == "body"
            and self._request
            and self._request.body_has_chunks
        ):
            self._is_turn_over = True
            self.transport.pause_reading()
            self._server.loop.call_soon(self._begin_turn)
        if self._scope:
            self._call_app(self._scope)

    def _begin_turn(self) -> None:
        """Read on, unless the app has to take what was read first."""
        self._is_turn_over = False
        if not (self._is_read_paused or self.transport.is_closing()):
            self.transport.resume_reading()

    def _begins_with_request_line(self, nbytes: int) -> bool:
        """Return False for a line with blanks that the parser skips, unless it comes in parts."""
        read = self._server.read_bytes
        start = 0
        while start < nbytes and read[start] in b"\r\n":
            start += 1
        end = read.find(b"\r\n", start, nbytes)
        return end < 0 or read.count(b" ", start, end) == 2

    def on_message_begin(self) -> None:
        """Read one request's headers. A request that comes before the last one was answered is not served."""
        request = self._request
        if request and not request.is_complete:
            self._ignore_what_follows()
            raise ValueError("pipelined")  # so that the parser gives up
        self._reading = "headers"
        self._waited_s = 0
        self._pending_bytes = self._packet_bytes
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        """Keep the address, which may come in parts."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; not what follows a body in chunks."""
        if self._reading == "headers":
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check what is known of the request before its body."""
        limits = self._server.limits
        if self._pending_bytes > limits.headers_bytes:
            # That sum may count a body that came with the headers.
            exact_bytes = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
            if exact_bytes > limits.headers_bytes:
                self._abort_parsing(431)
        parser = self._parser
        version = parser.get_http_version()
        if version not in VERSIONS:
            self._abort_parsing(505)
        hosts, expected, coding = _read_framing(self._headers)
        if hosts != 1 and (hosts or version == "1.1"):
            self._abort_parsing(400)
        if (
            coding and version == "1.0"
        ):  # which knows no chunks: what is in front may have read another length
            self._abort_parsing(400)
        if coding not in (b"", b"chunked"):
            self._abort_parsing(501)
        if parser.should_upgrade() and _has_body(self._headers):
            self._abort_parsing(501)  # the parser would take the body for the other protocol
        self._reading = "body"
        self._waited_s = self._silent_s = self._pending_bytes = 0
        self._body_bytes = self._body_wire_bytes = 0
        method = parser.get_method().decode("ascii")
        is_http_1_1 = version == "1.1"
        request = self._request = Request(
            self,
            is_http_1_1=is_http_1_1,
            is_head=method == "HEAD",
            keep_alive=is_http_1_1 and parser.should_keep_alive() and not self._server.is_stopping,
            has_chunks=bool(coding),
        )
        url = self._url
        if url.startswith(b"/"):
            raw_path, _, query = url.partition(b"?")
        else:
            raw_path, query = self._split_url()
        path = raw_path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        self._is_file = method == "POST" and path in limits.file_paths
        client, scheme = self._peer, "http"
        if self._peer and not self._address:
            client, scheme = self._server.proxies.read_client(self._peer, self._headers)
        request.expects_continue = is_http_1_1 and expected == b"100-continue"
        self._scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "server": self._server.address,
            "client": client,
            "scheme": scheme,
            "method": method,
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self._headers,
            "state": self._server.state,
            "extensions": {DISCONNECT: request},
        }

    def on_body(self, body: bytes) -> None:
        """Bound a body's bytes, whatever its headers said. What frames its chunks counts: it is work, too."""
        limits = self._server.limits
        request = self._request
        assert request
        self._silent_s = self._pending_bytes = 0
        self._body_bytes += len(body)
        most_bytes = limits.file_bytes if self._is_file else limits.body_bytes
        if max(self._body_bytes, self._body_wire_bytes) > most_bytes:
            self._abort_parsing(413)
        request.expects_continue = False
        if request.is_complete:
            return
        request.add_body(body)
        if request.unread_bytes > limits.unread_body_bytes and not self._is_read_paused:
            self._is_read_paused = True
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        """Wait for the answer, or the next request."""
        self._reading = "nothing"
        self._waited_s = self._pending_bytes = 0
        request = self._request
        assert request
        request.has_whole_body = True
        request.wake()
        if self._is_read_paused:
            self.resume_reading()  # else nobody would notice that the client leaves

    def answered(self) -> None:
        """Start the wait for the next request, or for the rest of this one's body."""
        self._waited_s = 0
        assert self._request
        if not self._request.keep_alive:
            self._end()
        elif self._is_read_paused:
            self.resume_reading()

    def stop(self) -> None:
        """End once the request that is being answered has its answer; now, if there is none."""
        if self._request and self._is_answering:
            self._request.keep_alive = False
        else:
            self.transport.close()

    def check_deadlines(self) -> None:
        """End the connection if it is late. Called once a second."""
        unread_bytes = self.transport.get_write_buffer_size()
        is_reading = unread_bytes < self._unread_bytes or not unread_bytes
        self._unread_bytes = unread_bytes
        self._unread_s = 0 if is_reading else self._unread_s + 1
        if self._unread_s > self._server.limits.unread_for_s:
            self.transport.abort()
        elif self._is_ending:
            self._waited_s += 1
            if self._waited_s > self._server.limits.body_after_answer_s:
                self.transport.close()
        elif self.transport.is_closing() or self.is_write_paused:
            return
        elif self._reading == "body":
            self._check_body_deadline()
        elif not self._is_answering:
            self._check_head_deadline()

    def _check_head_deadline(self) -> None:
        """End an idle connection, and one whose request's head does not come."""
        limits = self._server.limits
        self._waited_s += 1
        if self._reading == "nothing" and self._request:
            if self._waited_s > limits.idle_for_s:
                self.transport.close()
        elif self._waited_s > limits.headers_within_s:
            self._refuse(408)

    def _check_body_deadline(self) -> None:
        limits = self._server.limits
        if self._is_read_paused:  # the client waits for the app, not the app for the client
            return
        self._waited_s += 1
        self._silent_s += 1
        within_s = limits.file_within_s if self._is_file else limits.body_within_s
        if not self._is_answering:
            if self._waited_s > limits.body_after_answer_s:
                self.transport.close()
        elif self._silent_s > limits.body_silent_for_s or self._waited_s > within_s:
            self._refuse(408)

    def _call_app(self, scope: Scope) -> None:
        """Run the app up to where it has to wait, which for most requests saves a turn of the loop."""
        assert self._request
        self._scope = None
        server = self._server
        running = asyncio.Task(self._request.run(server.app, scope), loop=server.loop, eager_start=True)
        if not running.done():
            server.keep(running)

    def _split_url(self) -> tuple[bytes, bytes]:
        """Return the path and the query of a whole address, which proxies are sent."""
        url = httptools.parse_url(self._url)
        return url.path or b"/", url.query or b""

    def _abort_parsing(self, status: int) -> None:
        """Make the parser give up; the request is refused then."""
        self._parser_error_status = status
        raise ValueError(REASONS[status])

    def _refuse_bad_request(self) -> None:
        if self._is_ending:
            return
        if self._reading == "body" and not self._is_answering:
            self.transport.close()  # it was answered before its body had come
        elif self._reading == "nothing" and self._is_answering:
            self._ignore_what_follows()
        else:
            self._refuse(self._parser_error_status)

    def _refuse(self, status: int) -> None:
        """Answer without the app, and close. Once another answer has begun, only close."""
        request = self._request
        is_answering = request is not None and self._is_answering
        has_begun = is_answering and request is not None and request.has_begun
        if is_answering and request:
            request.disconnect()
        if not has_begun and not self.transport.is_closing():
            text = REASONS[status].encode()
            head = STATUS_LINES[status] + b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
            if status == 503:
                head += b"retry-after: 1\r\n"
            self.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(text), text))
        self._end()

    def _end(self) -> None:
        """Close. A client that is still sending can read its answer first: a reset would take it away."""
        if self._reading == "nothing" or self.transport.is_closing():
            self.transport.close()
            return
        self._is_ignoring = self._is_ending = True
        self._waited_s = 0
        self.resume_reading()
        self.transport.write_eof()

    def _ignore_what_follows(self) -> None:
        """Serve the last request alone: the connection ends with its answer."""
        self._is_ignoring = True
        if self._request:
            self._request.keep_alive = False

    def _ignore(self, size: int) -> None:
        """Read on, so that a client that leaves is noticed; end one that sends on and on."""
        limits = self._server.limits
        self._ignored_bytes += size
        if self._ignored_bytes > (limits.body_bytes if self._is_ending else limits.headers_bytes):
            self.transport.abort()


def _read_framing(headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes, bytes]:
    """Return how many hosts are named, what the client expects, and the body's transfer coding."""
    hosts, expected, coding = 0, b"", b""
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"expect":
            expected = value.lower()
        elif name == b"transfer-encoding":
            coding = b"%b,%b" % (coding, value.lower()) if coding else value.lower()
    return hosts, expected, coding


def _has_body(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in headers)
