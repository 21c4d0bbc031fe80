"""The parent's side of reading: start a child, hand it the file, and wait no longer than agreed."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# An isolated interpreter (-I) looks in no folder of ours, so the child is told where the sources are.
SOURCES = Path(__file__).parents[2]
START = "import sys; sys.path.insert(0, sys.argv[1]); from training.reading import child; child.main()"
# An interpreter that lies beside its libraries may need it to start. Nothing else is passed on: no secret.
PASSED_VARIABLES = ("LD_LIBRARY_PATH",)
ENDING_S = 0.5  # from the end of the answer to that of the child


@dataclass(frozen=True)
class Answer:
    """What a child wrote, which may be cut off, and whether it ended because its time was over."""

    content: bytes
    is_late: bool


def run_child(request: bytes, *, wall_s: float, answer_bytes: int) -> Answer:
    """Return what a child answers to a request, at most `answer_bytes` and one. No process outlives the call."""
    child = _start()
    stdin, stdout = child.stdin, child.stdout
    assert stdin is not None
    assert stdout is not None
    is_late = threading.Event()
    timer = threading.Timer(wall_s, _end_late, (child, is_late))
    feeder = threading.Thread(target=_feed, args=(stdin, request))
    timer.start()
    feeder.start()
    try:
        content = stdout.read(answer_bytes + 1)
        with suppress(subprocess.TimeoutExpired):
            child.wait(ENDING_S)
    finally:
        timer.cancel()
        _kill(child)
        child.wait()
        feeder.join()
        stdout.close()
    return Answer(content, is_late.is_set() or child.returncode == -signal.SIGXCPU)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", START, str(SOURCES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ},
        start_new_session=True,  # so that it is killed together with the processes that it forked
    )


def _feed(stdin: IO[bytes], request: bytes) -> None:
    with suppress(OSError):  # the child ended early: its answer, or none, says why
        stdin.write(request)
    with suppress(OSError):
        stdin.close()


def _end_late(child: subprocess.Popen[bytes], is_late: threading.Event) -> None:
    is_late.set()
    _kill(child)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's group. Its number is taken as long as the child has not been waited for."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
