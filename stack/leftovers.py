"""What a crashed stack left running: found by its records and by /proc, and ended.

/proc is read directly: start times in clock ticks are exact, while those in seconds move with the clock.
"""

import json
import os
import signal
import time
from pathlib import Path

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
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        pid = int(folder.name)
        if pid == leader:
            is_same_start = read_start_ticks(pid) == record["ticks"]
            is_ours = is_same_start and str(record["executable"]) in _read_words(pid, "cmdline")
        else:
            is_ours = _read_group(pid) == leader and f"{TAG}={var}" in _read_words(pid, "environ")
        if is_ours:
            found.add(pid)
    return found


def _read_stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the command's name: state, parent, group, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def read_start_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since the boot; 0 when it is gone."""
    fields = _read_stat(pid)
    return int(fields[19]) if fields else 0


def _read_group(pid: int) -> int:
    fields = _read_stat(pid)
    return int(fields[2]) if fields else 0


def _is_running(pid: int) -> bool:
    fields = _read_stat(pid)
    return bool(fields) and fields[0] != "Z"


def _read_words(pid: int, file: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def _signal(pid: int, signum: int) -> None:
    try:
        os.kill(pid, signum)
    except (ProcessLookupError, PermissionError):
        return
