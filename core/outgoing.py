"""What goes out and may fail: one worker at a time has it, it is tried again later, and given up at last.

A worker leases a row (core/lifecycle.py). Where it is killed, another one tries again. So the other side may
get a thing twice, and must be able to tell: by an event's id, by a mail's Message-ID.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from core.lifecycle import Leased


@dataclass(frozen=True)
class RetrySchedule:
    """When a failed attempt is made again, and when no more."""

    after_s: tuple[int, ...]  # seconds before each next attempt; the last one is repeated
    give_up_after: timedelta | None = None  # since the first failure, or since it was to go out

    def next_attempt_at(self, now: datetime, failures: int) -> datetime:
        """Return when to try again after so many failures, 1 at least."""
        return now + timedelta(seconds=self.after_s[min(failures, len(self.after_s)) - 1])

    def is_over(self, now: datetime, since: datetime) -> bool:
        """Return whether it has failed for so long that it is given up."""
        return self.give_up_after is not None and now - since >= self.give_up_after


def work_off[Row: Leased](
    lease: Callable[[], Row | None], handle: Callable[[Row], int], lasts: timedelta
) -> int:
    """Lease and handle row after row, while any is free and for so long at most.

    `handle` gives the row back. Returns the sum of what it returns. Safe from several workers at once.
    """
    ends_at = timezone.now() + lasts
    done = 0
    while timezone.now() < ends_at and (row := lease()):
        done += handle(row)
    return done
