"""The console's page of what workers do: queues, failures, what is stuck, and beat's timetable."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
from django.conf import settings
from django.db.models import Min, QuerySet
from django.urls import reverse
from django.utils import timezone

from adapters.models import AdapterVersion, Erasure
from core import valkey
from events.models import NoticeMail, WebhookDelivery
from operations.models import FailedTask
from operations.monitoring import task_counts
from operations.monitoring.broker import read_oldest, read_queue_lengths
from operations.monitoring.service_metrics import PATIENT_QUEUES, queue_names
from tenants.models import AuditEntry, Tenant
from training.public import find_stuck

FAILURES_SHOWN = 10
OVERDUE_FACTOR = 3  # of a task's interval without a success
LEAST_OVERDUE_S = 60.0
IN_WORK_LATE = timedelta(minutes=30)
LATE = timedelta(minutes=10)
ERASURE_LATE = timedelta(hours=1)


@dataclass(frozen=True)
class Queue:
    """A queue: how many messages wait, and for how long the oldest of them has."""

    name: str
    waiting: int
    oldest: str
    is_late: bool


@dataclass(frozen=True)
class Entry:
    """One line of beat's timetable."""

    task: str
    every: str
    queue: str
    last: str
    succeeded: int
    failed: int
    is_late: bool


@dataclass(frozen=True)
class StuckRows:
    """Rows that wait longer than they should, and where they are listed."""

    name: str
    count: int
    oldest: str
    address: str


def jobs_context() -> dict[str, object]:
    """Return what the page shows. A broker or Valkey that is away is said, and the rest is shown."""
    context: dict[str, object] = {
        "stuck": list(_find_stuck(timezone.now())),
        "failures": FailedTask.objects.order_by("-last_at")[:FAILURES_SHOWN],
        "failures_total": FailedTask.objects.count(),
    }
    try:
        return {**context, "queues": _read_queues(), "timetable": _read_timetable()}
    except redis.RedisError:
        return {**context, "is_away": True}


def _read_queues() -> list[Queue]:
    names = queue_names()
    lengths = read_queue_lengths(names)
    sent_at = read_oldest(names)
    now_s = time.time()
    queues = []
    for name in names:
        sent_s = sent_at[name]
        age_s = max(0.0, now_s - sent_s) if sent_s is not None else None
        oldest = "unknown" if age_s is None else words_of_seconds(age_s)
        is_late = age_s is not None and age_s > LATE.total_seconds() and name not in PATIENT_QUEUES
        queues.append(Queue(name, lengths[name], oldest if lengths[name] else "", is_late))
    return sorted(queues, key=lambda queue: (-queue.waiting, queue.name))


def _read_timetable() -> list[Entry]:
    store = valkey.client()
    counts = task_counts.read_counts(store)
    last_s = task_counts.read_last_successes(store)
    now_s = time.time()
    entries = []
    for planned in settings.CELERY_BEAT_SCHEDULE.values():
        task = str(planned["task"])
        every_s = float(str(planned["schedule"]))
        ago_s = now_s - last_s[task] if task in last_s else None
        count = counts.get(task) or task_counts.TaskCounts()
        entries.append(
            Entry(
                task=task,
                every=words_of_seconds(every_s),
                queue=str(settings.CELERY_TASK_ROUTES[task]["queue"]),
                last="never" if ago_s is None else f"{words_of_seconds(ago_s)} ago",
                succeeded=count.succeeded,
                failed=count.failed,
                is_late=_is_late(ago_s, every_s, failed=count.failed),
            )
        )
    return sorted(entries, key=lambda entry: (not entry.is_late, entry.task))


def _find_stuck(now: datetime) -> Iterator[StuckRows]:
    """Yield each kind of row of which some wait longer than they should."""
    versions = reverse("admin:adapters_adapterversion_changelist")
    trainings = reverse("admin:training_training_changelist")
    in_work = AdapterVersion.objects.in_work().filter(created_at__lt=now - IN_WORK_LATE).order_by()
    kinds: list[tuple[str, QuerySet[Any], str, str]] = [
        ("In progress", in_work, "created_at", f"{versions}?status__in=uploaded,valid,pushing"),
        (
            "Erasures",
            Erasure.objects.filter(finished_at=None, requested_at__lt=now - ERASURE_LATE),
            "requested_at",
            f"{reverse('admin:adapters_erasure_changelist')}?finished_at__isempty=1",
        ),
        ("Trainings", find_stuck(now), "changed_at", f"{trainings}?stuck=yes"),
        (
            "Webhook deliveries",
            WebhookDelivery.objects.pending().filter(next_attempt_at__lt=now - LATE),
            "next_attempt_at",
            reverse("admin:events_webhookendpoint_changelist"),
        ),
        (
            "Mail",
            NoticeMail.objects.due(now - LATE).order_by(),
            "next_attempt_at",
            reverse("admin:events_noticemail_changelist"),
        ),
        (
            "Unlinked audit log entries",
            AuditEntry.objects.filter(position=None, at__lt=now - LATE),
            "at",
            reverse("admin:tenants_auditentry_changelist"),
        ),
    ]
    for name, rows, column, address in kinds:
        count = rows.count()
        if count:
            oldest = rows.aggregate(at=Min(column))["at"]
            yield StuckRows(name, count, words_of_seconds((now - oldest).total_seconds()), address)
    stale = Tenant.objects.stale().count()
    if stale:
        address = reverse("admin:tenants_tenant_changelist")
        yield StuckRows("Workspaces not yet published to gateways", stale, "", address)


UNITS: tuple[tuple[float, float, str], ...] = ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"))


def words_of_seconds(seconds: float) -> str:
    """Return a length of time in the unit that suits it, as `90 s` or `3 h`."""
    for below, unit_s, unit in UNITS:
        if seconds < below:
            return f"{seconds / unit_s:,.0f} {unit}"
    return f"{seconds / 86_400:,.0f} d"


def _is_late(ago_s: float | None, every_s: float, *, failed: int) -> bool:
    """Return whether a task has not gone well for three of its intervals, or never did and failed."""
    if ago_s is None:
        return failed > 0
    return ago_s > max(LEAST_OVERDUE_S, OVERDUE_FACTOR * every_s)
