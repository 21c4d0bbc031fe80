"""What train.py and evidence.py do as child processes of a worker.

They report to it with one JSON object per line on standard output.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TextIO

from trainer.errors import TrainingError

STANDARD_INPUT = 0
NICENESS = 19  # serving comes first


def end_with_worker() -> None:
    """Exit as soon as standard input is closed: the worker is gone, and nobody reads the output."""
    # Not with sys.stdin: Python aborts at exit if a thread is still waiting in it.
    while os.read(STANDARD_INPUT, 1):
        pass
    os._exit(1)


def set_environment(threads: int) -> None:
    """Set the variables that libraries read when they are imported."""
    os.environ.update(
        CUBLAS_WORKSPACE_CONFIG=":4096:8",  # makes cuBLAS deterministic
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        HF_HUB_OFFLINE="1",
        OMP_NUM_THREADS=str(threads),
        OMP_WAIT_POLICY="PASSIVE",  # a waiting thread leaves its processor to the engine
        TOKENIZERS_PARALLELISM="false",
        TRANSFORMERS_VERBOSITY="error",
    )


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


def run_child(
    parser: argparse.ArgumentParser, program: Callable[[argparse.Namespace, EventStream], None]
) -> int:
    """Run a program with what its command line says, and report why it failed; return its exit status."""
    parser.add_argument(
        "--worker",
        action="store_true",
        help="run at the lowest priority, and exit when standard input is closed: the worker is gone",
    )
    options = parser.parse_args()
    if options.worker:
        os.nice(NICENESS)
        threading.Thread(target=end_with_worker, daemon=True).start()
    events = take_standard_output()
    try:
        program(options, events)
    except TrainingError as error:
        events.write("error", code=error.code, message=str(error))
        return 1
    return 0


class StopRequest:
    """Whether a stop was requested; training checks it before each step."""

    def __init__(self) -> None:
        self.is_made = False

    def listen(self) -> None:
        """Treat SIGTERM as a request to stop, instead of exiting at once."""
        signal.signal(signal.SIGTERM, self._record)

    def _record(self, _signal: int, _frame: FrameType | None) -> None:
        self.is_made = True
