"""What the server of one request offers its app beside ASGI, without a task or a coroutine of its own.

It tells that the client hung up, gives a body that has come, and writes answers and parts of them at once.
"""

from collections.abc import Callable
from typing import Protocol

DISCONNECT = "polyscribe.disconnect"  # the name of this extension in an ASGI scope


class Disconnects(Protocol):
    """The extension's object: one request's."""

    def watch_disconnect(self, callback: Callable[[], object]) -> None:
        """Call back once if the client hangs up before its answer is complete."""

    def unwatch_disconnect(self) -> None:
        """Remove all callbacks."""

    def take_body(self) -> bytes | None:
        """Return the whole body if it is here already and nobody took any of it; else None."""

    def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write a whole answer at once; return False, and write nothing, where its client must read first."""

    def can_write(self) -> bool:
        """Return whether a part of a stream that has begun may be written now: not to a slow client."""

    def write(self, part: bytes) -> None:
        """Write a part of a stream at once. Only where `can_write` said so in the same turn of the loop."""
