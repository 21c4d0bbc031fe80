"""The engine's side of `grammar_server.py`: it asks, waits, measures, and kills what takes too long.

A call into xgrammar can't be interrupted, and the cost of one step may jump from a fraction of a millisecond
to seconds, or grow without end. No model of such costs was ever complete. So each grammar is compiled, and
each sequence follows its grammar, in a process of its own, whose processor time is measured and bounded.
"""

import array
import hashlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from grammar_server import (
    ACCEPT,
    COMPILE,
    COUNT,
    ENDED,
    FORK,
    HEADER,
    INVALID,
    MASK,
    ROLLBACK,
    START,
    STUCK,
    VALIDATE,
    receive_message,
)

SERVER = Path(__file__).with_name("grammar_server.py")
# What these processes inherit: they read strangers' grammars, so no key is among it.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "OPENBLAS_CORETYPE")
# For the text `stop_reason` of an answer, longer than any stop text of a client, so that none can pretend it.
PADDING = "." * 1100
TOO_EXPENSIVE = "polyscribe:grammar_too_expensive" + PADDING
INVALID_GRAMMAR = "polyscribe:invalid_grammar" + PADDING


# A compiler that goes on for so long would, with some others, take a core from the engine.
SLOWED_AFTER_S = 0.1
SLOW_NICENESS = 12


@dataclass(frozen=True)
class Limits:
    """How much processor time grammars may take. Ordinary ones take 10 to 100 ms, and 0.1 ms a token."""

    compile_s: float = 3.0
    compile_wall_s: float = 60.0  # compilers wait for the engine, and for each other
    # Of all sequences of a request together, and more for each token.
    follow_s: float = 0.25
    follow_token_s: float = 0.001
    # A step of the engine waits so long for all grammars together. One that is late then and took
    # `expensive_step_s` of processor time is ended; the others waited for a processor, and get as much again.
    step_wall_s: float = 0.05
    expensive_step_s: float = 0.03
    last_step_wall_s: float = 1.0
    kept_grammars: int = 64
    kept_refusals: int = 1000


class GrammarError(Exception):
    """A grammar that can't be followed. `stop_reason` says why, in the words above."""

    def __init__(self, stop_reason: str) -> None:
        super().__init__(stop_reason.rstrip("."))
        self.stop_reason = stop_reason


class Process:
    """A process that was forked for us: a socket to it, its processor time, and its end."""

    def __init__(self, connection: socket.socket, process_id: int) -> None:
        self.connection = connection
        self.process_id = process_id
        self._descriptor = os.pidfd_open(process_id)
        self._clock = (~process_id << 3) | 2  # as clock_getcpuclockid(3) makes it: CPUCLOCK_SCHED
        self._used_s = 0.0

    def used_s(self) -> float:
        """Return its processor time so far, in seconds."""
        try:
            self._used_s = time.clock_gettime(self._clock)
        except OSError:  # it has ended
            return self._used_s
        return self._used_s

    def send(self, kind: int, content: bytes = b"") -> None:
        """Send a message. Raises OSError where the process has ended."""
        self.connection.sendall(HEADER.pack(kind, len(content)) + content)

    def receive(self) -> tuple[int, bytes]:
        """Return the next message. Raises OSError where the process has ended."""
        return receive_message(self.connection)

    def is_readable(self, timeout_s: float) -> bool:
        """Return whether something has come, after waiting for it."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def slow_down(self) -> None:
        """Let everybody else go first, but in what is forked from the process later."""
        with suppress(OSError):  # it has ended
            # On Linux niceness is a thread's, and a fork takes that of its own: the first one.
            threads = map(int, os.listdir(f"/proc/{self.process_id}/task"))
            for thread in set(threads) - {self.process_id}:
                os.setpriority(os.PRIO_PROCESS, thread, SLOW_NICENESS)

    def kill(self) -> None:
        """End the process, whatever it does just now. Safe to repeat."""
        if self._descriptor < 0:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        self.release()

    def release(self) -> None:
        """Hang up: the process ends once nothing needs it. Safe to repeat."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self.connection.close()

    def __del__(self) -> None:
        self.kill()


class ForkServer:
    """A process that forks itself when asked."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._lock = threading.Lock()

    def fork(self) -> Process:
        """Return a new process. Raises OSError where the server has ended, or can't fork."""
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._lock:
                socket.send_fds(self._control, [bytes([FORK])], [theirs.fileno()])
                kind, content = receive_message(self._control)
            if kind == INVALID:
                raise BlockingIOError
            return Process(ours, *struct.unpack("=I", content))
        except OSError:
            ours.close()
            raise


class Compiler:
    """The process that has a compiled grammar, and forks those that follow it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._forks = ForkServer(process.connection)

    def follow(self, stop_token_ids: Iterable[int]) -> Process:
        """Return a process that follows the grammar through one sequence. Its first mask is on the way."""
        process = self._forks.fork()
        process.send(START, array.array("i", sorted(stop_token_ids)).tobytes())
        return process

    def __del__(self) -> None:
        self._process.release()


class Grammars:
    """The compiled grammars of one engine. Equal ones are compiled once, as long as they are kept."""

    def __init__(
        self, tokenizer_info: str, limits: Limits | None = None, *, python: str = sys.executable
    ) -> None:
        self.limits = limits or Limits()
        self._python = python
        self._tokenizer_info = tokenizer_info.encode()
        self._lock = threading.Lock()
        self._compilers: OrderedDict[bytes, Compiler] = OrderedDict()
        self._refusals: OrderedDict[bytes, str] = OrderedDict()
        self._locks: dict[bytes, threading.Lock] = {}
        self._start()

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._server = subprocess.Popen(
                [self._python, str(SERVER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={
                    **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
                    "OPENBLAS_NUM_THREADS": "1",
                    "OMP_NUM_THREADS": "1",
                },
                stdin=subprocess.DEVNULL,
            )
        self._control.sendall(HEADER.pack(START, len(self._tokenizer_info)) + self._tokenizer_info)
        if not self._control.recv(HEADER.size):
            raise RuntimeError("The process that follows grammars did not start: see its message above.")
        self._forks = ForkServer(self._control)

    def open(self, kind: str, text: str, *, whitespace: str, stop_token_ids: Iterable[int]) -> Process:
        """Return a process that follows a grammar, compiled now if it is new. Raises GrammarError."""
        content = "\n".join((kind, whitespace, text)).encode()
        digest = hashlib.sha256(content).digest()
        with self._lock:
            lock = self._locks.setdefault(digest, threading.Lock())
        with lock:  # a second request with the same new grammar waits for the first one
            try:
                compiler = self._find(digest) or self._compile(digest, content)
                return compiler.follow(stop_token_ids)
            except OSError as error:  # the compiler ended, of memory most likely
                with self._lock:
                    self._compilers.pop(digest, None)
                raise GrammarError(TOO_EXPENSIVE) from error
            finally:
                with self._lock:
                    self._locks.pop(digest, None)

    def close(self) -> None:
        """End all processes."""
        self._compilers.clear()
        self._control.close()
        self._server.kill()
        self._server.wait()

    def _find(self, digest: bytes) -> Compiler | None:
        """Return the compiler of a grammar that is kept. Raises GrammarError for one refused before."""
        with self._lock:
            if digest in self._refusals:
                raise GrammarError(self._refusals[digest])
            compiler = self._compilers.get(digest)
            if compiler:
                self._compilers.move_to_end(digest)
            return compiler

    def _compile(self, digest: bytes, content: bytes) -> Compiler:
        process = self._fork()
        process.send(COMPILE, content)
        stop_reason = self._wait_for_compiler(process)
        with self._lock:
            if stop_reason:
                # One that only waited for a processor may be compiled the next time.
                if stop_reason == INVALID_GRAMMAR or process.used_s() > self.limits.compile_s:
                    self._refusals[digest] = stop_reason
                if len(self._refusals) > self.limits.kept_refusals:
                    self._refusals.popitem(last=False)
                process.kill()
                raise GrammarError(stop_reason)
            compiler = self._compilers[digest] = Compiler(process)
            if len(self._compilers) > self.limits.kept_grammars:
                self._compilers.popitem(last=False)  # it ends with the last sequence that follows it
        return compiler

    def _fork(self) -> Process:
        """Return a new process of the server, which is started again if somebody ended it. Raises OSError."""
        forks = self._forks
        try:
            return forks.fork()
        except ConnectionError:
            with self._lock:
                if self._forks is forks:  # nobody else was first
                    self.close()
                    self._start()
            return self._forks.fork()

    def _wait_for_compiler(self, process: Process) -> str:
        """Return "" once a grammar is compiled, else why it isn't."""
        until_s = time.monotonic() + self.limits.compile_wall_s
        is_slowed = False
        while not process.is_readable(timeout_s=0.02):
            used_s = process.used_s()
            if used_s > self.limits.compile_s or time.monotonic() > until_s:
                return TOO_EXPENSIVE
            if used_s > SLOWED_AFTER_S and not is_slowed:
                is_slowed = True
                process.slow_down()
        try:
            kind, _ = process.receive()
        except OSError:
            return TOO_EXPENSIVE  # no memory, or no stack
        return INVALID_GRAMMAR if kind == INVALID else ""


class Budget:
    """The processor time that following the grammars of one request may take, all its sequences together."""

    def __init__(self, limits: Limits) -> None:
        self.left_s = limits.follow_s
        self._token_s = limits.follow_token_s

    def add_tokens(self, count: int) -> None:
        """More tokens, more time."""
        self.left_s += count * self._token_s

    def spend(self, used_s: float) -> bool:
        """Take what was used; return whether something is left."""
        self.left_s -= used_s
        return self.left_s > 0


class Sequence:
    """A grammar that is followed through one sequence; `failure` is the `stop_reason` of one that ends."""

    def __init__(self, process: Process, budget: Budget, limits: Limits) -> None:
        self.failure = ""
        self.has_ended = False
        self.mask: npt.NDArray[np.int32] | None = None
        self.limits = limits
        self._process = process
        self._budget = budget
        self._is_waiting = True  # the first mask comes unasked
        self._used_s = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether an answer of the process is outstanding."""
        return self._is_waiting

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with the answer."""
        return self._process.connection.fileno()

    def accept(self, tokens: list[int]) -> None:
        """Follow some tokens: the process works on the next mask while the engine goes on."""
        self.finish_step()
        self._budget.add_tokens(len(tokens))
        self._ask(ACCEPT, tokens)

    def roll_back(self, count: int) -> None:
        """Go back by some tokens."""
        self.finish_step()
        self._ask(ROLLBACK, [count])

    def count_valid(self, tokens: list[int]) -> int:
        """Return how many of some tokens may follow, without following them."""
        self.finish_step()
        self._ask(VALIDATE, tokens)
        mask, self.mask = self.mask, None
        self.finish_step()
        counted, self.mask = self.mask, mask
        return 0 if counted is None else int(counted[0])

    def finish_step(self) -> None:
        """Wait for this sequence alone."""
        wait_for_steps([self])

    def receive(self) -> None:
        """Read the answer that has come, and charge what it took."""
        try:
            kind, content = self._process.receive()
        except OSError:  # no memory, or no stack
            return self.fail(TOO_EXPENSIVE)
        self._is_waiting = False
        if kind in (MASK, COUNT):
            self.mask = np.frombuffer(content, dtype=np.int32)
        elif kind == ENDED:
            self.has_ended = True
        elif kind == STUCK:
            return self.fail(INVALID_GRAMMAR)
        used_s = self._process.used_s()
        has_time = self._budget.spend(used_s - self._used_s)
        self._used_s = used_s
        if not has_time:
            self.fail(TOO_EXPENSIVE)

    def is_expensive(self) -> bool:
        """Return whether the step that is under way took long by itself, and not for want of a processor."""
        return self._process.used_s() - self._used_s >= self.limits.expensive_step_s

    def fail(self, stop_reason: str) -> None:
        """End the process; its request ends with the engine's step."""
        self.failure = self.failure or stop_reason
        self._is_waiting = False
        self._process.kill()

    def close(self) -> None:
        """End the process: the sequence is over."""
        self._is_waiting = False
        self._process.kill()

    def _ask(self, kind: int, numbers: list[int]) -> None:
        if self.failure or self.has_ended:
            return
        try:
            self._process.send(kind, array.array("i", numbers).tobytes())
            self._is_waiting = True
        except OSError:
            self.fail(TOO_EXPENSIVE)


def wait_for_steps(sequences: Iterable[Sequence]) -> None:
    """Wait for some sequences, all together as long as their limits say; end those that are late."""
    waiting = {sequence.fileno(): sequence for sequence in sequences if sequence.is_waiting}
    if not waiting:
        return
    limits = next(iter(waiting.values())).limits
    poll = select.poll()
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    began_s = time.monotonic()
    round_until_s = began_s + limits.step_wall_s
    while waiting:
        left_s = max(0.0, round_until_s - time.monotonic())
        for descriptor, _ in poll.poll(left_s * 1000):
            poll.unregister(descriptor)
            waiting.pop(descriptor).receive()
        now_s = time.monotonic()
        if now_s < round_until_s:
            continue
        is_last = now_s - began_s >= limits.last_step_wall_s
        for descriptor, sequence in list(waiting.items()):
            if is_last or sequence.is_expensive():
                poll.unregister(descriptor)
                waiting.pop(descriptor)
                sequence.fail(TOO_EXPENSIVE)
        round_until_s = now_s + limits.step_wall_s
