"""Requests to stop, which arrive as SIGTERM."""

import signal
from types import FrameType


class StopRequest:
    """Whether a stop was requested; training checks it before each step."""

    def __init__(self) -> None:
        self.is_made = False

    def listen(self) -> None:
        """Treat SIGTERM as a request to stop, instead of exiting at once."""
        signal.signal(signal.SIGTERM, self._record)

    def _record(self, _signal: int, _frame: FrameType | None) -> None:
        self.is_made = True
