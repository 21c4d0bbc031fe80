"""A result that is cached for some seconds, because it is read often and computing it is dear."""

import threading
import time
from collections.abc import Callable


class CachedResult[Result]:
    """The latest result of `compute`, computed anew once older than `max_age_s`, by one thread at a time."""

    def __init__(
        self, compute: Callable[[], Result], *, max_age_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._compute = compute
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = threading.Lock()
        self._results: list[Result] = []  # none before the first read, then one
        self._known_until_s = 0.0

    def read(self) -> Result:
        """Return a result that is `max_age_s` old at most. Raises what `compute` raises."""
        with self._lock:
            if not self._results or self._clock() >= self._known_until_s:
                self._results = [self._compute()]
                self._known_until_s = self._clock() + self._max_age_s
            return self._results[0]
