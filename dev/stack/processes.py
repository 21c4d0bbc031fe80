"""The stack's processes: started in groups of their own, watched, restarted, stopped in reverse order.

What a crashed stack left running is found by its records and among all processes, and ended.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import psutil

from stack.errors import Interrupted, ServiceFailed
from stack.folders import ROOT, Folders, private, shown

TAG = "POLYSCRIBE_STACK_VAR"  # in each child's environment: whose it is
LEASH = Path(__file__).with_name("leash.py")
POLL_S = 0.1
LEFTOVERS_POLL_S = 0.05
SETTLED_S = 60.0  # a process that lived this long starts with a clean record
RESTARTS = 5
LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True)
class Program:
    """One row of the table of programs. `wrapper` is put before everything else."""

    name: str
    title: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    wrapper: Sequence[str] = ()
    user: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 10.0
    layer: int = 0  # the highest is stopped first
    ready: Callable[[], bool] | None = None  # asked again and again; None: nobody waits for it
    ready_within_s: float = 300.0  # a busy machine needs a minute for PostgreSQL
    step: str = ""  # what a step's line calls it, where that isn't the title
    errors_apart: bool = False  # standard error goes to a log of its own, so that the rest can be shown
    is_optional: bool = False  # once it was ready, the rest goes on without it while it is down


@dataclass
class Child:
    """One running program and how often it had to be started again."""

    program: Program
    process: subprocess.Popen[bytes]
    began_s: float
    restarts: int = 0
    restart_at_s: float | None = None  # set while it is down
    was_ready: bool = False


class Supervisor:
    """Starts programs, keeps them up and stops them.

    Children are started by the main thread only: the kernel sends the parent-death signal when the *thread*
    that started a child ends.
    """

    def __init__(self, folders: Folders, say: Callable[[str], None]) -> None:
        self._folders = folders
        self._say = say
        self._children: dict[str, Child] = {}
        self.stopping = threading.Event()

    def start(self, program: Program) -> None:
        log = self._log(program.name)
        if log.exists():
            log.replace(log.with_suffix(".log.old"))
        self._children[program.name] = Child(program, self._spawn(program), time.monotonic())

    def pid(self, name: str) -> int:
        return self._children[name].process.pid

    def program(self, name: str) -> Program:
        """Return how a program was started."""
        return self._children[name].program

    def await_ready(self, name: str, check: Callable[[], bool], *, within_s: float) -> None:
        """Block until `check` is true. Raises ServiceFailed if the process ends or the time is over."""
        child = self._children[name]
        until = time.monotonic() + within_s
        while not check():
            if self.stopping.is_set():
                raise Interrupted("stopped")
            if child.process.poll() is not None:
                raise self._failure(child, f"stopped while it started (exit {child.process.returncode})")
            if time.monotonic() > until:
                raise self._failure(child, f"was not ready within {within_s:.0f} s")
            time.sleep(POLL_S / 2)
        child.was_ready = True

    def once(
        self,
        *programs: Program,
        show: Callable[[str], None] | None = None,
        ended: Callable[[Program], None] | None = None,
        beside: Iterable[Future[None]] = (),
    ) -> None:
        """Run programs side by side to their ends and show their lines, keeping the others up.

        `ended` is told of each that went well. Raises ServiceFailed for the first that did not, and what is
        raised by one of the futures `beside`.
        """
        with ExitStack() as logs:
            running = {}
            for program in programs:
                self.start(program)
                running[program.name] = logs.enter_context(self._log(program.name).open(errors="replace"))
            while running:
                self.revive(besides=running.keys())
                for future in beside:
                    if future.done():
                        future.result()
                for name, lines in list(running.items()):
                    child = self._children[name]
                    code = child.process.poll()
                    _show_whole_lines(lines, show)
                    if code is None:
                        continue
                    del running[name], self._children[name]
                    self._record(name).unlink()
                    if code:
                        raise self._failure(child, f"failed (exit {code})")
                    if ended:
                        ended(child.program)
                self.stopping.wait(POLL_S)

    def revive(self, *, besides: Collection[str] = ()) -> None:
        """Start again what has died. Raises ServiceFailed for a program that keeps dying.

        An optional program is started again for ever, after pauses that double up to LONGEST_PAUSE_S. Until
        it was ready once, its death is left to `await_ready`: a restart would not remove the cause.
        """
        for child in self._children.values():
            if child.program.name in besides or (code := child.process.poll()) is None:
                continue
            if child.program.is_optional and not child.was_ready:
                continue
            if child.restart_at_s is None:
                self._plan_restart(child, code)
            elif time.monotonic() >= child.restart_at_s:
                child.process = self._spawn(child.program)
                child.began_s = time.monotonic()
                child.restart_at_s = None

    def _plan_restart(self, child: Child, code: int) -> None:
        """Count a death and decide when to start again. Raises ServiceFailed if that is hopeless."""
        lived_s = time.monotonic() - child.began_s
        child.restarts = 1 if lived_s > SETTLED_S else child.restarts + 1
        deaths = child.restarts
        if deaths > RESTARTS and not child.program.is_optional:
            raise self._failure(child, f"stopped {deaths} times in a row (exit {code})")
        _signal_group(child.process.pid, signal.SIGKILL)
        log = self._log(child.program.name)
        if deaths > RESTARTS:
            pause_s = min(2.0 ** (deaths - RESTARTS), LONGEST_PAUSE_S)
            self._say(
                f"  ! {child.program.title} stopped {deaths} times in a row (exit {code}): "
                f"{last_line(log)} Restarting it in {pause_s:.0f} s; everything else keeps running. Log: "
                f"{shown(log)}"
            )
        else:
            pause_s = 0.5 * (deaths - 1)
            self._say(f"  ! {child.program.title} stopped (exit {code}). Restarting it. Log: {shown(log)}")
        child.restart_at_s = time.monotonic() + pause_s

    def kill(self, name: str) -> None:
        """Kill a program and all that it started with SIGKILL, for a trial: its record stays clean."""
        child = self._children[name]
        child.restarts = 0
        _signal_group(child.process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Stop everything, the last started layer first; a process that does not go in time is killed."""
        self.stopping.set()
        children = list(self._children.values())
        for layer in sorted({child.program.layer for child in children}, reverse=True):
            _stop_all([child for child in children if child.program.layer == layer])
        for child in children:
            self._record(child.program.name).unlink(missing_ok=True)
        self._children.clear()

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        leash = [sys.executable, "-I", "-S", str(LEASH), str(int(program.stop_signal)), str(os.getpid())]
        errors_log = self._log(f"{program.name}-errors" if program.errors_apart else program.name)
        with (
            open(self._log(program.name), "ab", opener=private) as log,
            open(errors_log, "ab", opener=private) as errors,
        ):
            process = subprocess.Popen(
                [*program.wrapper, *leash, *program.argv],
                env={**program.env, TAG: str(self._folders.var)},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                start_new_session=True,
                umask=0o077,  # what services write, their sockets too, is for their owner alone
                **as_user(program.user),
            )
        fact = {"pid": process.pid, "ticks": read_start_ticks(process.pid), "executable": program.argv[0]}
        with open(self._record(program.name), "w", opener=private) as record:
            json.dump(fact, record)
        return process

    def _log(self, name: str) -> Path:
        return self._folders.logs / f"{name}.log"

    def _record(self, name: str) -> Path:
        return self._folders.pids / f"{name}.json"

    def _failure(self, child: Child, what: str) -> ServiceFailed:
        name = child.program.name
        log = self._log(f"{name}-errors" if child.program.errors_apart else name)
        return ServiceFailed(f"{child.program.title} {what}: {last_line(log)} Log: {shown(log)}")


def as_user(user: int | None) -> dict[str, Any]:
    """Return the options of a new process that has no right but those of a user; none for who we are."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def last_line(log: Path) -> str:
    """Return the last line of a log that is not empty, cut to 200 characters."""
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = text.strip().splitlines()
    return lines[-1].strip()[:200] if lines else "its log is empty."


def _show_whole_lines(lines: TextIO, show: Callable[[str], None] | None) -> None:
    """Show each line that is complete by now; a half-written one waits for the next call."""
    while True:
        at = lines.tell()
        line = lines.readline()
        if not line.endswith("\n"):
            lines.seek(at)
            return
        if show:
            show(line.rstrip("\n"))


def _stop_all(children: list[Child]) -> None:
    for child in children:
        if child.process.poll() is None:
            child.process.send_signal(child.program.stop_signal)
    began = time.monotonic()
    for child in children:
        left_s = began + child.program.stop_within_s - time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(timeout=max(left_s, 0.1))
        _signal_group(child.process.pid, signal.SIGKILL)
        child.process.wait()


def _signal_group(pid: int, signum: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)


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
            time.sleep(LEFTOVERS_POLL_S)
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
