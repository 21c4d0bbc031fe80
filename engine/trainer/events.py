"""What train.py tells whoever started it: one JSON object a line on standard output, and nothing else."""

import json
import os
import sys
from typing import TextIO


class EventStream:
    """Writes events as lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, kind: str, **facts: object) -> None:
        """Write one event. The line has left this process when the call returns."""
        self._stream.write(json.dumps({"type": kind, **facts}) + "\n")
        self._stream.flush()


def take_standard_output() -> EventStream:
    """Return a stream of events on standard output; what libraries print goes to standard error from then."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return EventStream(events)
