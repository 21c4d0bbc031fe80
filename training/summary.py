"""All trainings in figures, for metrics, the doctor and the console."""

from datetime import datetime, timedelta

from django.db.models import Count, Exists, Min, Q, Sum

from metering.models import LedgerEntry
from training.models import Status, Training, TrainingQuerySet

# A worker saves a running training every second; storing a large checkpoint takes minutes.
SILENT_AFTER = timedelta(minutes=10)


def count_trainings() -> dict[str, int]:
    """Return the number of trainings of each status, including 0."""
    counted = dict(Training.objects.order_by().values_list("status").annotate(Count("pk")))
    return {status: counted.get(status, 0) for status in Status.values}


def oldest_queued_s(now: datetime) -> float:
    """Return how long the oldest queued training has waited, in seconds; 0 if none is queued."""
    return _longest_s(now, Status.QUEUED)


def longest_silent_s(now: datetime) -> float:
    """Return how long the most silent running training has not been saved, in seconds; 0 if none runs."""
    return _longest_s(now, Status.RUNNING)


def count_charged_tokens() -> int:
    """Return how many trained tokens were charged."""
    entries = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.TRAINING)
    return int(entries.aggregate(tokens=Sum("tokens", default=0))["tokens"])


def find_stuck(now: datetime) -> TrainingQuerySet:
    """Return trainings that a worker should have taken, or moved on."""
    return find_silent(now) | find_unserved(now)


def find_silent(now: datetime) -> TrainingQuerySet:
    """Return trainings in progress without a sign of life.

    A trained one without a version waits for its workspace: the plan has no room for another version.
    """
    silent = Training.objects.stuck(now - SILENT_AFTER)
    return silent.exclude(status=Status.FINISHING, version=None)


def find_unserved(now: datetime, longer_than: timedelta = SILENT_AFTER) -> TrainingQuerySet:
    """Return trainings that have been queued for some time although no worker runs any."""
    is_any_running = Exists(Training.objects.leased(now))
    queued = Training.objects.filter(status=Status.QUEUED, changed_at__lt=now - longer_than)
    return queued.exclude(is_any_running)


def _longest_s(now: datetime, status: Status) -> float:
    first = Training.objects.aggregate(at=Min("changed_at", filter=Q(status=status)))["at"]
    return max(0.0, (now - first).total_seconds()) if first else 0.0
