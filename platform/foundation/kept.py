"""A result that is kept for some seconds, because many ask for it and finding it out is dear."""

import threading
import time
from collections.abc import Callable


class Kept[Result]:
    """The latest result of `ask`, asked anew once it is older than `kept_s`, by one thread at a time."""

    def __init__(
        self, ask: Callable[[], Result], *, kept_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._kept_s = kept_s
        self._clock = clock
        self._lock = threading.Lock()
        self._results: list[Result] = []  # none before the first question, then one
        self._known_until_s = 0.0

    def read(self) -> Result:
        """Return a result that is `kept_s` old at most. Raises what `ask` raises, and keeps nothing then."""
        with self._lock:
            if not self._results or self._clock() >= self._known_until_s:
                self._results = [self._ask()]
                self._known_until_s = self._clock() + self._kept_s
            return self._results[0]
