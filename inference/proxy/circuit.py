"""A circuit breaker: what fails again and again is left alone for a while."""

import time
from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class Circuit:
    """Opens after `max_failures` in a row. Then one request may try every `open_s`, until one succeeds."""

    max_failures: int
    open_s: float
    failures: int = 0
    retry_at_s: float = 0.0
    paused_until_s: float = 0.0

    @property
    def has_tripped(self) -> bool:
        """Whether it failed so often that only one request at a time may try."""
        return self.failures >= self.max_failures

    def is_open(self) -> bool:
        """Return whether nobody may try just now."""
        if self.failures < self.max_failures and not self.paused_until_s:
            return False  # as nearly always
        now_s = time.monotonic()
        return now_s < self.paused_until_s or (self.has_tripped and now_s < self.retry_at_s)

    def try_acquire(self) -> bool:
        """Return whether the caller may try. If it is the one that tries again, the others wait."""
        if self.is_open():
            return False
        if self.failures >= self.max_failures:
            self.retry_at_s = time.monotonic() + self.open_s
        return True

    def fail(self) -> None:
        """Count a failure."""
        self.failures += 1
        self.retry_at_s = time.monotonic() + self.open_s

    def trip(self) -> None:
        """Open at once, as after `max_failures`."""
        self.failures = max(self.failures, self.max_failures - 1)
        self.fail()

    def pause(self) -> None:
        """Open once; then all may try again."""
        self.paused_until_s = time.monotonic() + self.open_s
