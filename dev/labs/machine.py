"""The machine: which core is whose, and what a process and its children used of it."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from stack import engine

MIB = 1024 * 1024
IDLE_WITHIN_S = 300
IDLE_S = 15  # the samples of a style begin ten seconds after it serves
AT_WORK = re.compile(r"^vllm:num_requests_(?:running|waiting)\{.*\} (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Cores:
    """Whose core is whose: a gateway has the last one, its second worker the one before."""

    all: frozenset[int]

    @classmethod
    def here(cls) -> "Cores":
        return cls(frozenset(os.sched_getaffinity(0)))

    def gateway(self, count: int) -> set[int]:
        """Return the cores of a gateway with so many workers."""
        return set(sorted(self.all)[-count:])

    def rest(self) -> set[int]:
        """Return everything else's cores; a second worker shares them where there are fewer than four."""
        return set(self.all) - self.gateway(2 if len(self.all) >= 4 else 1) or set(self.all)


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Run on these cores for a while: what is started meanwhile stays on them."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(pid: int) -> float:
    """Return the processor seconds that a process and its children have used, those that ended too."""
    seconds = 0.0
    for process in family(pid):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process and its children."""
    size_bytes = 0
    for process in family(pid):
        with suppress(psutil.NoSuchProcess):
            size_bytes += process.memory_info().rss
    return round(size_bytes / MIB, 1)


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that descend from it; nothing when it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def find_trainer(worker_pid: int) -> psutil.Process | None:
    """Return the child process in which a training worker trains now."""
    for process in family(worker_pid):
        with suppress(psutil.Error):
            if any(word.endswith("engine/train.py") for word in process.cmdline()):
                return process
    return None


def model() -> str:
    """Return the processor's name."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return os.uname().machine


def await_idle_engine(url: str) -> None:
    """Return once the engine works on nothing: the style cards' samples of what came before are written.

    Raises SystemExit.
    """
    until = time.time() + IDLE_WITHIN_S
    idle = 0
    while time.time() < until:
        with engine.open_client(url, os.environ["ENGINE_API_KEY"]) as client:
            page = client.get("/metrics").raise_for_status().text
        at_work = sum(float(count) for count in AT_WORK.findall(page))
        idle = 0 if at_work else idle + 1
        if idle == IDLE_S:
            return
        time.sleep(1)
    raise SystemExit(f"✗ The engine is not idle after {IDLE_WITHIN_S} s.")
