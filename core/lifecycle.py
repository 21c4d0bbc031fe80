"""The life of a row: one worker at a time has it, and each status that it reaches is logged.

A worker holds a row by a lease, a time in the row, and not by a lock: no transaction is open while it works.
Where a worker is killed, its lease ends by itself and another one goes on.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from core.message_fields import MessageField
from core.messages import Message


class LeaseLost(Exception):
    """Another worker has taken this row, since the one before was silent for too long; or it was deleted."""


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

    def renew(self, row: Row, lasts: timedelta, **changes: object) -> bool:
        """Save changes of a leased row and hold it for so long from now. False: another worker has it."""
        until = timezone.now() + lasts
        is_held = bool(self.held(row).update(**changes, leased_until=until))
        if is_held:
            row.leased_until = until
        return is_held

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


class StatusLogged(models.Model):
    """A row that goes from status to status, with a note of what the present one waits for."""

    status = models.CharField(max_length=12)  # a model's own has its choices
    note = MessageField(help_text="What the current step is waiting for.")

    class Meta:
        abstract = True

    def log_status(self, status: str) -> None:
        """Add a status to the row's history."""
        raise NotImplementedError

    def move(self, *, before: str, after: str, **changes: object) -> bool:
        """Change status in one UPDATE and log it; return False if another worker was first."""
        changes = {"status": after, "note": Message(), **changes}
        with transaction.atomic():
            moved = type(self)._base_manager.filter(pk=self.pk, status=before).update(**changes)
            if moved:
                self.log_status(after)
        if moved:
            for name, value in changes.items():
                setattr(self, name, value)
        return bool(moved)

    def wait(self, note: Message) -> None:
        """Record what the current step is waiting for; a row that has moved on meanwhile is left alone."""
        rows = type(self)._base_manager.filter(pk=self.pk, status=self.status)
        if rows.exclude(note=note).update(note=note):
            self.note = note


@dataclass(frozen=True)
class Step:
    """A line of the list of a long job's steps; `state` is done, current, next or failed.

    `note` says what a step does or waits for, or what proves that it is done.
    """

    label: str
    state: str
    at: datetime | None
    note: str
