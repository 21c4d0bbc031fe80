"""One line for each step that ended, with the seconds that it took."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TextIO


class Steps:
    """Prints progress. Safe to use from several threads."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        encoding = self._out.encoding or "utf-8"
        with self._lock:
            print(text.encode(encoding, "replace").decode(encoding), file=self._out, flush=True)

    def done(self, title: str, seconds: float) -> None:
        self.say(f"  ✓ {title:<30}{seconds:6.1f} s")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.done(title, time.monotonic() - began)

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began


class Waiting:
    """Waits for several things at once; each prints its line when it is there."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._pool = ThreadPoolExecutor(thread_name_prefix="waiting")

    def watch(self, title: str, ready: Callable[[], None], *, since_s: float) -> Future[None]:
        """Run a blocking readiness check in the background; its error comes out of the future's result().

        `since_s` is the monotonic time when the thing was started.
        """

        def wait() -> None:
            ready()
            self._steps.done(title, time.monotonic() - since_s)

        return self._pool.submit(wait)

    def all(self, futures: Iterable[Future[None]]) -> None:
        """Wait for these. Raises what the first failed one raised, at once."""
        for future in as_completed(list(futures)):
            future.result()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
