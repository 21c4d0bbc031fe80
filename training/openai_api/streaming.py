"""Uploads of files: Django's handler with a body that a view reads while the client sends it.

Django itself takes a whole body before it calls a view, in memory or in a temporary file, before it knows who
sends it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.http import UnreadablePostError

from core.errors import DomainError
from inference.public import http_errors
from training.openai_api.shapes import TooManyUploads, UploadTooSlow

type Message = Mapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

DISCONNECT = "http.disconnect"
# Each upload holds one of a few places, and not every server in front ends a slow one. Only the time that we
# wait for a client counts, and each KiB pays for a sixteenth of a second of it.
LEAST_KIB_PER_S = 16
KIB = 1024
CREDIT_S = 30.0  # how long a client may pause
WITHIN_S = 1800.0


class StreamedBody:
    """One request's body. It is called for ASGI's messages, and read as a file by the view's thread."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._ends_at_s = self._loop.time() + WITHIN_S
        self._credit_s = CREDIT_S
        self._buffer = b""
        self._is_whole = False
        self._has_left = False
        self._has_ended = asyncio.Event()

    async def begin(self) -> None:
        """Wait for the first bytes: until they come, a request needs neither a place nor a thread.

        Raises UnreadablePostError, UploadTooSlow.
        """
        self._buffer = await self._read_message()

    async def __call__(self) -> Message:
        """Return the message behind the body: that the client has left."""
        await self._has_ended.wait()
        return {"type": DISCONNECT} if self._has_left else await self._receive()

    def read(self, size: int = -1) -> bytes:
        """Return at most so many bytes, and b"" at the end. Call it from a thread.

        Raises UnreadablePostError once the client has left, and UploadTooSlow.
        """
        while not self._buffer and not self._is_whole:
            self._buffer = asyncio.run_coroutine_threadsafe(self._read_message(), self._loop).result()
        read = self._buffer if size < 0 else self._buffer[:size]
        self._buffer = self._buffer[len(read) :]
        return read

    def close(self) -> None:
        """Do nothing: the server throws away what was not read."""

    async def _read_message(self) -> bytes:
        waits_from_s = self._loop.time()
        try:
            async with asyncio.timeout_at(min(self._ends_at_s, waits_from_s + self._credit_s)):
                message = await self._receive()
        except TimeoutError:
            raise UploadTooSlow(rate=LEAST_KIB_PER_S) from None
        body = bytes(message.get("body", b""))
        paid_s = len(body) / (LEAST_KIB_PER_S * KIB)
        self._credit_s = min(CREDIT_S, self._credit_s + waits_from_s - self._loop.time() + paid_s)
        self._has_left = message["type"] == DISCONNECT
        self._is_whole = self._has_left or not message.get("more_body", False)
        if self._is_whole:
            self._has_ended.set()
        if self._has_left:
            raise UnreadablePostError("the client has left")
        return body


class StreamingHandler(ASGIHandler):
    """Django's handler, which gets a StreamedBody in the place of `receive`."""

    async def read_body(self, receive: Any) -> Any:
        """Return the body as it is: nothing of it is read yet."""
        return receive


class Uploads:
    """An ASGI app for requests whose views read a streamed body: so many that send at once, else 503.

    Each has a part of its file in memory, some 15 MiB.
    """

    def __init__(self, *, most_at_once: int) -> None:
        self._handler = StreamingHandler()
        self._most_at_once = most_at_once
        self._running = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        body = StreamedBody(receive)
        try:
            await body.begin()
        except UnreadablePostError:
            return
        except UploadTooSlow as error:
            await _refuse(send, error)
            return
        if self._running >= self._most_at_once:
            await _refuse(send, TooManyUploads(retry_s=2))
            return
        self._running += 1
        try:
            await self._handler(scope, body, send)
        finally:
            self._running -= 1


async def _refuse(send: Send, error: DomainError) -> None:
    status, body, headers = http_errors.error(error)
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
