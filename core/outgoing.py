"""What goes out and may fail: one worker at a time has it, it is tried again later, and given up at last.

A worker holds a row by a lease, a time in the row, and not by a lock: no transaction is open while the other
side takes its time. Where a worker is killed, its lease ends by itself and another one tries again. So the
other side may get a thing twice, and must be able to tell: by an event's id, by a mail's Message-ID.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone


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


class LeasedQuerySet[Row: "Leased"](models.QuerySet[Row]):
    """Rows of which each is for one worker at a time."""

    def free(self, now: datetime) -> Self:
        """Return rows that no worker has: also what a killed worker left behind."""
        return self.filter(Q(leased_until=None) | Q(leased_until__lt=now))

    def leased(self, now: datetime) -> Self:
        """Return rows that a worker has."""
        return self.filter(leased_until__gte=now)

    def lease_first(self, now: datetime, lasts: timedelta) -> Row | None:
        """Take the first free row for a while, and return it; None where there is none.

        Two workers never take the same one, and neither waits for the other.
        """
        with transaction.atomic():
            row = self.free(now).select_for_update(skip_locked=True, no_key=True, of=("self",)).first()
            if row is not None:
                row.leased_until = now + lasts
                row.save(update_fields=["leased_until"])
        return row

    def held(self, row: Row) -> Self:
        """Return a leased row, or nothing once its lease went to another worker: its time names the lease."""
        return self.filter(pk=row.pk, leased_until=row.leased_until)

    def release(self, row: Row, **outcome: object) -> bool:
        """Give a leased row back, with what came of it. False, and no change, if another has it by now."""
        return bool(self.held(row).update(**outcome, leased_until=None))


class Leased(models.Model):
    """A row that one worker at a time works on."""

    leased_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="One worker has it until then at most."
    )

    class Meta:
        abstract = True


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
