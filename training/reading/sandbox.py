"""The parent's side of reading: start a child, send it the file, and wait for a limited time."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# An isolated interpreter (-I) doesn't search our folders, so the child gets the path of the sources.
SOURCES = Path(__file__).parents[2]
START = "import sys; sys.path.insert(0, sys.argv[1]); from training.reading import child; child.main()"
# Some interpreters need it to find their libraries. Nothing else is passed on: no secret.
PASSED_VARIABLES = ("LD_LIBRARY_PATH",)


@dataclass(frozen=True)
class Answer:
    """What a child wrote, possibly cut off, and whether it ran out of time."""

    content: bytes
    is_late: bool


def run_child(request: bytes, content: bytes, *, wall_s: float, answer_bytes: int) -> Answer:
    """Return a child's answer to a line and a file, cut off after `answer_bytes`. No process is left."""
    child = _start()
    stdin, stdout = child.stdin, child.stdout
    assert stdin is not None
    assert stdout is not None
    is_late = threading.Event()
    timer = threading.Timer(wall_s, _kill_late, (child, is_late))
    feeder = threading.Thread(target=_feed, args=(stdin, request, content))
    timer.start()
    feeder.start()
    try:
        answer = stdout.read(answer_bytes + 1)
        if len(answer) <= answer_bytes:
            # Wait without reaping: until it is reaped, its process group keeps its id.
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    finally:
        timer.cancel()
        _kill_group(child)
        child.wait()
        feeder.join()
        stdout.close()
    return Answer(answer, is_late.is_set() or child.returncode == -signal.SIGXCPU)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", START, str(SOURCES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ},
        start_new_session=True,  # so that it is killed together with the processes that it forked
    )


def _feed(stdin: IO[bytes], request: bytes, content: bytes) -> None:
    with suppress(OSError):  # the child ended early: its answer, or none, says why
        stdin.write(request)
        stdin.write(content)
    with suppress(OSError):
        stdin.close()


def _kill_late(child: subprocess.Popen[bytes], is_late: threading.Event) -> None:
    is_late.set()
    _kill_group(child)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill a child and what it forked."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
