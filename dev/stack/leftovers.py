"""What a crashed stack left running: found by its records and among all processes, and ended."""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from stack.folders import Folders

TAG = "POLYSCRIBE_STACK_VAR"  # in each child's environment: whose it is
POLL_S = 0.05


def end_leftovers(folders: Folders) -> int:
    """End what a crashed stack left running in this folder; return how many processes that were.

    The folder must be held. A process is ended only if it is proved to be ours: the recorded process with its
    recorded start time and executable, or a member of its group that carries this folder's tag.
    """
    ours: set[int] = set()
    for record in folders.pids.glob("*.json"):
        ours |= _find_leftovers(json.loads(record.read_text()), folders.var)
        record.unlink()
    for signum, patience_s in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for pid in ours:
            _signal(pid, signum)
        until = time.monotonic() + patience_s
        while any(map(_is_running, ours)) and time.monotonic() < until:
            time.sleep(POLL_S)
    return len(ours)


def _find_leftovers(record: dict[str, object], var: Path) -> set[int]:
    leader = record["pid"]
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
            if process.pid == leader:
                is_same_start = read_start_ticks(process.pid) == record["ticks"]
                is_ours = is_same_start and record["executable"] in process.cmdline()
            else:
                is_ours = os.getpgid(process.pid) == leader and process.environ().get(TAG) == str(var)
            if is_ours:
                found.add(process.pid)
    return found


def read_start_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since the boot; 0 when it is gone.

    psutil tells it in seconds since the epoch, which move with the clock.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    after_name = stat.rpartition(")")[2].split()
    return int(after_name[19])


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(pid: int, signum: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signum)
