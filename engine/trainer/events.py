"""What train.py reports to the process that started it: one JSON object per line on standard output."""

import json
import os
import sys
from typing import TextIO


class EventStream:
    """Writes events as lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, kind: str, **facts: object) -> None:
        """Write one event, and flush it."""
        self._stream.write(json.dumps({"type": kind, **facts}) + "\n")
        self._stream.flush()


def take_standard_output() -> EventStream:
    """Return a stream of events on standard output, and send what libraries print to standard error."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return EventStream(events)
