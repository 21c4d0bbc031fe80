"""What the server of one request offers its app beside ASGI, without a task of the app's own.

It tells that the client hung up, and writes parts of a stream at once.
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

    def can_write(self) -> bool:
        """Return whether a part of a stream that has begun may be written now: not to a slow client."""

    def write(self, part: bytes) -> None:
        """Write a part of a stream at once. Only where `can_write` said so in the same turn of the loop."""
