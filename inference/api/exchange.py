"""One HTTP request and its answer, over ASGI."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from foundation import valkey
from foundation.addresses import network_of
from foundation.request_ids import new_request_id
from inference.api import cors
from inference.contract.http_errors import Headers
from inference.errors import TooLarge
from inference.proxy import bodies
from inference.proxy.bodies import BODY_MAX_BYTES
from inference.proxy.runtime import Gateway
from inference.quota.admission import Caller

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# An answer belongs to one workspace: no cache may keep it, and no browser may take it for a page.
PRIVATE_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),
    *PRIVATE_HEADERS,
]
JSON_HEADERS = [(b"content-type", b"application/json"), *PRIVATE_HEADERS]


@dataclass(eq=False)
class Exchange:
    """One request, and how far its answer is."""

    scope: Scope
    receive: Receive
    send: Send
    request_id: str = field(default_factory=new_request_id)
    started_s: float = field(default_factory=time.perf_counter)
    has_begun: bool = False
    caller: Caller | None = None
    body_bytes: int = 0

    @property
    def method(self) -> str:
        """The HTTP method."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The path, without a slash at its end."""
        return str(self.scope["path"].rstrip("/"))

    def header(self, name: bytes) -> str:
        """Return the value of a request header, or "" where there is none."""
        for sent_name, value in self.scope["headers"]:
            if sent_name == name:
                return str(value.decode("latin-1"))
        return ""

    def address_key(self) -> str:
        """Return the Valkey key that counts refusals of clients at this address without a valid API key."""
        client = self.scope.get("client")
        return valkey.stranger_key(network_of(client[0]) if client else "")

    @asynccontextmanager
    async def body(self, gateway: Gateway, caller: Caller) -> AsyncIterator[bytes]:
        """Yield the unpacked request body. The memory that it takes counts as the workspace's until the end.

        Raises TooLarge or TooMuchAtOnce before all of it is read, UnknownEncoding, or BadRequest.
        """
        # A client that declares too large a body is refused without reading any of it.
        declared = self.header(b"content-length")
        if declared.isdigit() and int(declared) > BODY_MAX_BYTES:
            raise TooLarge(limit_bytes=BODY_MAX_BYTES)
        taken_bytes = 0
        parts: list[bytes] = []
        try:
            has_more = True
            while has_more:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionAbortedError
                part = message.get("body", b"")
                self.body_bytes += len(part)
                if self.body_bytes > BODY_MAX_BYTES:
                    raise TooLarge(limit_bytes=BODY_MAX_BYTES)
                gateway.bodies.take(caller.tenant_id, len(part))
                taken_bytes += len(part)
                parts.append(part)
                has_more = message.get("more_body", False)
            body = bodies.decompress(b"".join(parts), self.header(b"content-encoding").strip().lower())
            parts.clear()  # else the body is in memory twice
            if len(body) > taken_bytes:
                gateway.bodies.take(caller.tenant_id, len(body) - taken_bytes)
                taken_bytes = len(body)
            yield body
        finally:
            gateway.bodies.give_back(caller.tenant_id, taken_bytes)

    async def send_head(self, status: int, headers: Headers) -> None:
        """Send the status line and the headers, with those that every answer carries."""
        self.has_begun = True
        request_id = self.request_id.encode()
        elapsed_ms = int((time.perf_counter() - self.started_s) * 1000)
        common = [
            (b"x-request-id", request_id),
            (b"request-id", request_id),  # Anthropic's clients read this one
            (b"openai-processing-ms", b"%d" % elapsed_ms),
        ]
        if settings.API_ALLOWED_ORIGINS:
            common += cors.origin_headers(self.header(b"origin"))
        await self.send({"type": "http.response.start", "status": status, "headers": headers + common})

    async def send_part(self, data: bytes, *, more: bool) -> None:
        """Send a part of the answer's body; `more` says that another one follows."""
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def send_json(self, status: int, data: bytes, headers: Headers) -> None:
        """Send a whole answer. `data` is JSON, serialized already."""
        length = (b"content-length", b"%d" % len(data))
        await self.send_head(status, [*JSON_HEADERS, length, *headers])
        await self.send_part(data, more=False)
