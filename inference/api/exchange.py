"""One HTTP request and its answer, over ASGI; our own server takes and gives both without its coroutines."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from core import valkey
from core.http import DISCONNECT, Disconnects, network_of, new_request_id
from inference.api import cors
from inference.contract.endpoints import BESIDE_V1
from inference.contract.http_errors import Headers
from inference.errors import TooLarge
from inference.facts import JsonObject
from inference.proxy import bodies
from inference.proxy.bodies import BODY_MAX_BYTES
from inference.proxy.runtime import Gateway
from inference.quota.admission import Caller
from inference.telemetry import RequestRecord

Scope = JsonObject
Receive = Callable[[], Awaitable[JsonObject]]
Send = Callable[[JsonObject], Awaitable[None]]

# An answer belongs to one workspace: no cache may keep it, and no browser may take it for a page.
PRIVATE_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),
    *PRIVATE_HEADERS,
]
JSON_HEADERS = [(b"content-type", b"application/json"), *PRIVATE_HEADERS]


def _do_nothing() -> None:
    """Nobody watches."""


class Exchange:
    """One request, and how far its answer is. `server` is what ours offers beside ASGI; None at others."""

    __slots__ = (
        "_headers",
        "_taken_bytes",
        "body_bytes",
        "caller",
        "has_begun",
        "has_disconnected",
        "method",
        "model",
        "path",
        "receive",
        "record",
        "request_id",
        "scope",
        "send",
        "server",
        "started_s",
        "unpacked_bytes",
        "unwatch_disconnect",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.server: Disconnects | None = scope.get("extensions", {}).get(DISCONNECT)
        self.method: str = scope["method"]
        path = scope["path"].rstrip("/")
        self.path: str = BESIDE_V1.get(path, path)  # of what vLLM has beside `/v1`, the one below it
        self.request_id = new_request_id()
        self.record = RequestRecord(self.request_id)
        self.started_s = time.perf_counter()
        self.has_begun = False
        self.has_disconnected = False
        self.caller: Caller | None = None
        self.model = ""  # as the client wrote it, once the body is read
        self.body_bytes = 0  # as they came
        self.unpacked_bytes = 0
        self.unwatch_disconnect: Callable[[], object] = _do_nothing
        # Reversed: of headers that were sent twice the first one counts.
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        self._taken_bytes = 0

    @property
    def is_anthropics(self) -> bool:
        """Whether the client speaks Anthropic's dialect."""
        return b"anthropic-version" in self._headers or self.path.startswith("/v1/messages")

    def header(self, name: bytes) -> str:
        """Return the value of a request header, or "" where there is none."""
        return self._headers.get(name, b"").decode("latin-1")

    def address_key(self) -> str:
        """Return the Valkey key that counts refusals of clients at this address without a valid API key."""
        client = self.scope.get("client")
        return valkey.stranger_key(network_of(client[0]) if client else "")

    async def read_body(self, gateway: Gateway, caller: Caller) -> bytes:
        """Return the unpacked request body. Its memory counts as the workspace's until `release_body`.

        Raises UnknownMediaType, or TooLarge or TooMuchAtOnce before all of it is read; UnknownEncoding, or
        BadRequest.
        """
        headers = self._headers
        if headers.get(b"content-type") != b"application/json":
            bodies.require_json(self.header(b"content-type"))
        # A client that declares too large a body is refused without reading any of it.
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > BODY_MAX_BYTES:
            raise TooLarge(limit_bytes=BODY_MAX_BYTES)
        body = self.server.take_body() if self.server else None
        if body is None:
            body = await self._receive_body(gateway, caller)
        else:
            self._take_part(gateway, caller, body)
        encoding = headers.get(b"content-encoding")
        if encoding:
            self.unpacked_bytes = BODY_MAX_BYTES  # as long as it is not known
            body = bodies.decompress(body, encoding.decode("latin-1").strip().lower())
            self.unpacked_bytes = len(body)
            self.take_memory(gateway, caller, len(body))
        return body

    async def _receive_body(self, gateway: Gateway, caller: Caller) -> bytes:
        parts: list[bytes] = []
        has_more = True
        while has_more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ConnectionAbortedError
            part = message.get("body", b"")
            self._take_part(gateway, caller, part)
            parts.append(part)
            has_more = message.get("more_body", False)
        return b"".join(parts)

    def _take_part(self, gateway: Gateway, caller: Caller, part: bytes) -> None:
        """Count a part of the body. Raises TooLarge or TooMuchAtOnce."""
        self.body_bytes += len(part)
        self.unpacked_bytes = self.body_bytes
        if self.body_bytes > BODY_MAX_BYTES:
            raise TooLarge(limit_bytes=BODY_MAX_BYTES)
        gateway.bodies.take(caller.names.tenant, len(part))
        self._taken_bytes += len(part)

    def take_memory(self, gateway: Gateway, caller: Caller, body_bytes: int) -> None:
        """Count so much memory as the workspace's until `release_body`. Raises TooMuchAtOnce."""
        more_bytes = body_bytes - self._taken_bytes
        if more_bytes > 0:
            gateway.bodies.take(caller.names.tenant, more_bytes)
            self._taken_bytes += more_bytes

    def release_body(self, gateway: Gateway, caller: Caller) -> None:
        """Give the body's memory back."""
        gateway.bodies.give_back(caller.names.tenant, self._taken_bytes)

    def end_record(self, endpoint: str) -> RequestRecord:
        """Return what is known of the request, now that its answer is over."""
        record = self.record
        record.endpoint = endpoint
        record.body_bytes = self.body_bytes
        record.total_s = time.perf_counter() - self.started_s
        if self.caller:
            record.workspace = self.caller.names.tenant
            record.key = self.caller.names.key
        return record

    def watch_disconnect(self, callback: Callable[[], object]) -> None:
        """Call back once the client hangs up, until `unwatch_disconnect`."""

        def tell() -> None:
            self.has_disconnected = True
            callback()

        if self.server:
            self.server.watch_disconnect(tell)
            self.unwatch_disconnect = self.server.unwatch_disconnect
        else:  # other servers tell it only to a task that waits for it
            waiting = asyncio.create_task(self._wait_for_disconnect())
            waiting.add_done_callback(lambda task: None if task.cancelled() else tell())
            self.unwatch_disconnect = waiting.cancel

    async def _wait_for_disconnect(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def send_head(self, status: int, headers: Headers) -> None:
        """Send the status line and the headers, with those that every answer carries."""
        head = self._begin(status, headers)
        await self.send({"type": "http.response.start", "status": status, "headers": head})

    async def send_part(self, data: bytes, *, more: bool) -> None:
        """Send a part of the answer's body; `more` says that another one follows."""
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def send_json(self, status: int, data: bytes, headers: Headers) -> None:
        """Send a whole answer. `data` is JSON, serialized already."""
        head = self._begin(status, JSON_HEADERS + headers)
        if self.server and self.server.answer(status, head, data):
            return
        head.append((b"content-length", b"%d" % len(data)))
        await self.send({"type": "http.response.start", "status": status, "headers": head})
        await self.send_part(data, more=False)

    def _begin(self, status: int, headers: Headers) -> Headers:
        """Note that the answer begins; return its headers."""
        self.has_begun = True
        self.record.status = status
        request_id = self.request_id.encode()
        elapsed_ms = int((time.perf_counter() - self.started_s) * 1000)
        common = [
            (b"x-request-id", request_id),
            (b"request-id", request_id),  # Anthropic's clients read this one
            (b"openai-processing-ms", b"%d" % elapsed_ms),
        ]
        if b"origin" in self._headers:
            common += cors.origin_headers(self.header(b"origin"))
        return headers + common
