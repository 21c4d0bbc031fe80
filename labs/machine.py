"""The machine: which core is whose, and what a process and its children used of it."""

import os
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024
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
    """Return the processor seconds that a process and its children have used."""
    return sum(int(n) for one in family(pid) for n in _stat(one)[11:13]) / TICKS_A_SECOND


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process and its children."""
    pages = sum(int(stat[21]) for one in family(pid) if len(stat := _stat(one)) > 21)
    return round(pages * os.sysconf("SC_PAGE_SIZE") / MIB, 1)


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (stat := _stat(int(folder.name))):
            children.setdefault(int(stat[1]), []).append(int(folder.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def model() -> str:
    """Return the processor's name."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return os.uname().machine


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the command's name: state, parent, group, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def await_idle_engine(url: str, *, within_s: float = 300) -> None:
    """Return once the engine works on nothing: the style cards' samples of what came before are written.

    Raises SystemExit.
    """
    until = time.time() + within_s
    idle = 0
    while time.time() < until:
        request = urllib.request.Request(
            f"{url}/metrics", headers={"Authorization": f"Bearer {os.environ['ENGINE_API_KEY']}"}
        )
        with urllib.request.urlopen(request) as answer:
            at_work = sum(float(count) for count in AT_WORK.findall(answer.read().decode()))
        idle = 0 if at_work else idle + 1
        if idle == IDLE_S:
            return
        time.sleep(1)
    raise SystemExit(f"✗ The engine is not idle after {within_s:.0f} s.")
