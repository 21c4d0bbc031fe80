"""How the server tells an app that a client hung up, without a task of the app's own that waits for it."""

from collections.abc import Callable
from typing import Protocol

DISCONNECT = "polyscribe.disconnect"  # the name of this extension in an ASGI scope


class Disconnects(Protocol):
    """The extension's object: one request's."""

    def watch_disconnect(self, callback: Callable[[], object]) -> None:
        """Call back once if the client hangs up before its answer is complete."""

    def unwatch_disconnect(self) -> None:
        """Call nobody back any more."""
