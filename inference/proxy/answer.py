"""The answer of one request as the app sends it on: whole, or a stream that is still being written."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol, Self

from inference.contract import http_errors
from inference.contract.http_errors import Headers
from inference.errors import DomainError
from inference.facts import Stream


class SilenceCheck:
    """All streams of a process that wait for their first part.

    One check wakes those that have waited for long, without timers.
    """

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._since_s: dict[asyncio.Future[None], float] = {}

    async def wait(self, first_part: "asyncio.Future[bytes]") -> None:
        """Return when a stream's first part is there, or once the client has waited long enough."""
        if first_part.done():
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake(_: object) -> None:
            _wake(waiting)

        self._since_s[waiting] = self._clock()
        first_part.add_done_callback(wake)
        try:
            await waiting
        finally:
            first_part.remove_done_callback(wake)
            del self._since_s[waiting]

    def wake_late(self) -> None:
        """Wake those that have waited long enough."""
        latest_s = self._clock() - self._patience_s
        for waiting, since_s in self._since_s.items():
            if since_s > latest_s:  # they are in the order of their arrival
                return
            _wake(waiting)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


# Clients skip a line that begins with a colon: https://html.spec.whatwg.org/multipage/server-sent-events.html
COMMENT = b": waiting\n\n"


class Writer(Protocol):
    """The client, where parts can be written to it at once."""

    def can_write(self) -> bool:
        """Return whether the client can take a part now."""

    def write(self, part: bytes) -> None:
        """Write a part."""


class Client(Protocol):
    """The client of an answer that is not streamed, as far as it can hang up."""

    unwatch_disconnect: Callable[[], object]

    def watch_disconnect(self, callback: Callable[[], object]) -> None:
        """Call back once the client hangs up, until `unwatch_disconnect`."""


@dataclass(eq=False, slots=True)
class GatewayAnswer:
    """An answer to one request: a body, or a stream that must be read to its end or closed to settle it."""

    request_id: str
    headers: Headers
    body: bytes = b""
    stream: Stream | None = None


def frame_error(error: DomainError) -> bytes:
    """Return an error as the last event of a stream."""
    return b"data: " + http_errors.body(error) + b"\n\n"


class AnswerStream:
    """A stream's parts, and comments until the first one is there. Read it to its end, or `aclose` it.

    One that is dropped unread (Django closes no stream that it has not begun) is closed by `spawn`, which
    runs a coroutine to its end.
    """

    def __init__(
        self,
        parts: "Parts",
        first_part: "asyncio.Future[bytes]",
        *,
        silence: SilenceCheck,
        spawn: Callable[[Coroutine[None, None, None]], object],
    ) -> None:
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()
        self._parts = parts
        self._first_part: asyncio.Future[bytes] | None = first_part
        self._silence = silence
        self._has_commented = False

    @property
    def is_over(self) -> bool:
        """Whether the last part was returned."""
        return self._first_part is None and self._parts.is_over

    def write_to(self, writer: Writer) -> None:
        """Write parts to the client as they arrive, where it can take them; return only the others.

        To pass a part on by returning it takes a future, a task switch and eight frames.
        """
        self._parts.write_to(writer)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._first_part:
            return await self._begin(self._first_part)
        part = await self._parts.next_part()
        if not part:
            raise StopAsyncIteration
        return part

    async def aclose(self) -> None:
        """Stop the engine and settle, if this is not over."""
        first_part, self._first_part = self._first_part, None
        await _close(self._parts, first_part)

    def __del__(self) -> None:
        if not self.is_over and not self._loop.is_closed():
            # Any thread may collect this.
            self._loop.call_soon_threadsafe(self._spawn, _close(self._parts, self._first_part))

    async def _begin(self, first_part: "asyncio.Future[bytes]") -> bytes:
        """Return the first part, or a comment while there is none."""
        if self._has_commented:
            try:
                await self._silence.wait(first_part)
            # A client that hangs up cancels this.
            except BaseException:
                await self.aclose()
                raise
        if not first_part.done():
            self._has_commented = True
            return COMMENT
        self._first_part = None
        try:
            return first_part.result()
        except DomainError as error:  # the status line has long been sent
            return frame_error(error)


async def _close(parts: "Parts", first_part: "asyncio.Future[bytes] | None") -> None:
    if first_part:
        first_part.cancel()
        # Wait: a cancelled request settles before its future ends.
        await asyncio.gather(first_part, return_exceptions=True)
    await parts.close()


class Parts(Protocol):
    """What an `AnswerStream` reads."""

    @property
    def is_over(self) -> bool:
        """Whether the last part was returned."""

    def write_to(self, writer: Writer) -> None:
        """Write parts while `next_part` waits, where the client can take them; return only the others."""

    async def next_part(self) -> bytes:
        """Return the next part, b"" after the last one."""

    async def close(self) -> None:
        """Settle what was used until now."""
