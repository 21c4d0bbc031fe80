"""How trainings are as a whole: what metrics, the doctor and the console tell."""

from datetime import datetime, timedelta

from django.db.models import Count, Exists, Min, Q, Sum

from tenants.models import LedgerEntry
from training.models import Status, Training, TrainingQuerySet

# A worker writes a running training's row each second; saving a large checkpoint takes minutes.
SILENT_AFTER = timedelta(minutes=10)


def count_trainings() -> dict[str, int]:
    """Return how many trainings there are of each status, 0 included."""
    counted = dict(Training.objects.order_by().values_list("status").annotate(Count("pk")))
    return {status: counted.get(status, 0) for status in Status.values}


def oldest_queued_s(now: datetime) -> float:
    """Return for how many seconds the oldest queued training has waited; 0 where none is queued."""
    return _longest_s(now, Status.QUEUED)


def longest_silent_s(now: datetime) -> float:
    """Return how many seconds ago the most silent running training was last written; 0 where none runs."""
    return _longest_s(now, Status.RUNNING)


def count_charged_tokens() -> int:
    """Return how many trained tokens are in the ledger."""
    entries = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.TRAINING)
    return int(entries.aggregate(tokens=Sum("tokens", default=0))["tokens"])


def find_stuck(now: datetime) -> TrainingQuerySet:
    """Return trainings that a worker should have taken, or moved on."""
    return find_silent(now) | find_unserved(now)


def find_silent(now: datetime) -> TrainingQuerySet:
    """Return trainings in progress without a sign of life.

    What is trained and has no version yet waits for its workspace: the plan has no room for another version.
    """
    silent = Training.objects.stuck(now - SILENT_AFTER)
    return silent.exclude(status=Status.FINISHING, version=None)


def find_unserved(now: datetime) -> TrainingQuerySet:
    """Return trainings that have been queued for long while no worker has any: none runs, it seems."""
    is_any_running = Exists(Training.objects.leased(now))
    queued = Training.objects.filter(status=Status.QUEUED, changed_at__lt=now - SILENT_AFTER)
    return queued.exclude(is_any_running)


def _longest_s(now: datetime, status: Status) -> float:
    first = Training.objects.aggregate(at=Min("changed_at", filter=Q(status=status)))["at"]
    return max(0.0, (now - first).total_seconds()) if first else 0.0
