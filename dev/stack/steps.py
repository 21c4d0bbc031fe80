"""One line for each step that ended, with its seconds; on a terminal, what is awaited below it."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TextIO

ERASE_LINE = "\r\x1b[2K"


class Steps:
    """Prints progress. Safe to use from several threads."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._encoding = self._out.encoding or "utf-8"
        self._lock = threading.Lock()
        self._began_s = time.monotonic()
        self._awaited: list[str] = []

    def say(self, text: str) -> None:
        with self._lock:
            self._write(f"{text}\n")

    def done(self, title: str, seconds: float) -> None:
        self.say(f"  ✓ {title:<30}{seconds:6.1f} s")

    def awaiting(self, title: str) -> None:
        """Name something that is on its way, until the same title is `arrived`."""
        with self._lock:
            self._awaited.append(title)
            self._write("")

    def arrived(self, title: str) -> None:
        with self._lock:
            self._awaited.remove(title)
            self._write("")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        began_s = time.monotonic()
        self.awaiting(title)
        try:
            yield
        finally:
            self.arrived(title)
        self.done(title, time.monotonic() - began_s)

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def _write(self, text: str) -> None:
        if self._out.isatty():
            awaited = f"  … {', '.join(self._awaited)}" if self._awaited else ""
            text = f"{ERASE_LINE}{text}{awaited}"
        print(
            text.encode(self._encoding, "replace").decode(self._encoding), end="", file=self._out, flush=True
        )


class Waiting:
    """Waits for several things at once; each prints its line when it is there."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._pool = ThreadPoolExecutor(thread_name_prefix="waiting")

    def watch(self, title: str, ready: Callable[[], None], *, since_s: float) -> Future[None]:
        """Run a blocking readiness check in the background; its error comes out of the future's result().

        `since_s` is the monotonic time when the thing was started.
        """
        self._steps.awaiting(title)

        def wait() -> None:
            try:
                ready()
            finally:
                self._steps.arrived(title)
            self._steps.done(title, time.monotonic() - since_s)

        return self._pool.submit(wait)

    def all(self, futures: Iterable[Future[None]]) -> None:
        """Wait for these. Raises what the first failed one raised, at once."""
        for future in as_completed(list(futures)):
            future.result()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
