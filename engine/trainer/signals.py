"""The wish to stop, which comes as SIGTERM."""

import signal
from types import FrameType


class StopRequest:
    """Remembers that somebody asked this process to stop; training looks at it before each step."""

    def __init__(self) -> None:
        self.is_made = False

    def listen(self) -> None:
        """Take SIGTERM for the wish to stop, instead of ending at once."""
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.is_made = True
