"""Bodies of requests to pages and to the management API: Django reads them before it knows who sends them."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from core.addresses import network_of
from inference.public import BodyMemory, TooMuchAtOnce

type Scope = dict[str, Any]
type Receive = Callable[[], Awaitable[dict[str, Any]]]
type Send = Callable[[Mapping[str, Any]], Awaitable[None]]
type Application = Callable[[Scope, Receive, Send], Awaitable[None]]

ALL_BYTES = 128 * 1024 * 1024  # of all clients; one takes at most an eighth of what is free
UNFINISHED = 128  # bodies of one client that are on their way


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is answered instead of reading a body on."""

    status: int
    why: str


TOO_LARGE = Refusal(413, "The request is too large.")
TOO_MUCH = Refusal(503, "Too many concurrent requests. Try again.")


class PageBodies:
    """An application whose requests' bodies are bounded: each, those of one client, and all together.

    A client is an IPv4 address or an IPv6 /64. It is refused what is too much: 413, or 503 with Retry-After.
    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self._memory = BodyMemory(ALL_BYTES)
        self._unfinished: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        body = _Body(self._memory, self._unfinished, network_of(client[0]) if client else "", receive)
        body.expect(scope["headers"])
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.close()
        if body.refusal:
            await _refuse(send, body.refusal)


class _Body:
    """One request's body, and what it takes until the request is over."""

    def __init__(self, memory: BodyMemory, unfinished: Counter[str], network: str, receive: Receive) -> None:
        self.refusal: Refusal | None = None
        self._memory = memory
        self._unfinished = unfinished
        self._network = network
        self._receive = receive
        self._taken_bytes = 0
        self._is_unfinished = False

    async def receive(self) -> dict[str, Any]:
        """Return the server's next message; that the client has left where its body is refused.

        Django sends nothing before it has the whole body, so then it ends without an answer.
        """
        if self._is_unfinished and self._unfinished[self._network] > UNFINISHED:
            self.refusal = TOO_MUCH
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._count(is_unfinished=message.get("more_body", False))
        self.refusal = self._take(len(message.get("body", b"")))
        return {"type": "http.disconnect"} if self.refusal else message

    def expect(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Count a body that is announced as on its way, before its first byte."""
        for name, value in headers:
            if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
                self._count(is_unfinished=True)

    def close(self) -> None:
        """Give everything back."""
        self._memory.give_back(self._network, self._taken_bytes)
        self._count(is_unfinished=False)

    def _take(self, size: int) -> Refusal | None:
        if not size:  # most requests have no body
            return None
        if self._taken_bytes + size > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return TOO_LARGE
        try:
            self._memory.take(self._network, size)
        except TooMuchAtOnce:
            return TOO_MUCH
        self._taken_bytes += size
        return None

    def _count(self, *, is_unfinished: bool) -> None:
        if is_unfinished != self._is_unfinished:
            self._is_unfinished = is_unfinished
            self._unfinished[self._network] += 1 if is_unfinished else -1
        if not self._unfinished[self._network]:
            del self._unfinished[self._network]


async def _refuse(send: Send, refusal: Refusal) -> None:
    text = refusal.why.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if refusal is TOO_MUCH:
        headers.append((b"retry-after", b"2"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
