"""Whether workers serve every queue, and whether the drain keeps up."""

import time
from collections.abc import Iterator

from django.conf import settings

from core import valkey
from inference.public import read_backlog
from operations.doctor.findings import Finding, fault, note, ok
from operations.monitoring import task_counts
from operations.monitoring.broker import read_queue_lengths
from operations.monitoring.service_metrics import PATIENT_QUEUES, queue_names

DRAIN = "inference.tasks.drain"
SILENT_AFTER_S = 120
MANY_MESSAGES = 200
LAG_S = 60


def check_queues() -> Iterator[Finding]:
    """Look at how many messages wait, and when a task of each queue last went well.

    The queue of trainings is left out: `check_training` looks at its rows and its workers.
    """
    last_s = _last_success_by_queue()
    now_s = time.time()
    quick = [name for name in queue_names() if name not in PATIENT_QUEUES]
    for queue, waiting in read_queue_lengths(quick).items():
        silent_s = now_s - last_s[queue] if queue in last_s else None
        yield _judge_queue(queue, waiting, silent_s)
    drained_s = task_counts.read_last_successes(valkey.client()).get(DRAIN)
    if drained_s is None or now_s - drained_s > SILENT_AFTER_S:
        since = "never" if drained_s is None else f"{now_s - drained_s:.0f} s ago"
        yield fault(
            "beat",
            f"the drain last ran {since}",
            "Start beat (exactly one) and the `housekeeping` worker. See their logs for why they stopped.",
        )
    else:
        yield ok("beat", f"the drain ran {now_s - drained_s:.0f} s ago")


def _judge_queue(queue: str, waiting: int, silent_s: float | None) -> Finding:
    since = (
        "no task has finished yet" if silent_s is None else (f"the last task finished {silent_s:.0f} s ago")
    )
    seen = f"{waiting} messages waiting; {since}"
    is_silent = silent_s is None or silent_s > SILENT_AFTER_S
    if waiting and is_silent:
        return fault(f"queue {queue}", seen, f"Start its worker: `celery -A config worker -Q {queue}`.")
    if waiting > MANY_MESSAGES:
        return note(f"queue {queue}", seen, "Add workers for this queue.")
    return ok(f"queue {queue}", seen)


def _last_success_by_queue() -> dict[str, int]:
    last_s: dict[str, int] = {}
    for task, at_s in task_counts.read_last_successes(valkey.client()).items():
        route = settings.CELERY_TASK_ROUTES.get(task)
        if route:
            queue = str(route["queue"])
            last_s[queue] = max(at_s, last_s.get(queue, 0))
    return last_s


def check_ledger() -> Iterator[Finding]:
    """Look at the usage that waits for PostgreSQL, and at what it refused."""
    backlog = read_backlog(valkey.client())
    seen = f"{backlog.pending_events} events waiting, the oldest for {backlog.oldest_event_s:.0f} s"
    if backlog.oldest_event_s > LAG_S:
        yield fault("ledger", seen, "Check the `housekeeping` worker and PostgreSQL's locks.")
    else:
        yield ok("ledger", seen)
    if backlog.refused_events:
        yield fault(
            "ledger",
            f"{backlog.refused_events} events were permanently rejected",
            "See the Valkey stream `usage:refused`, and the worker's log for the reason.",
        )
    if backlog.overdue_holds:
        yield note(
            "holds",
            f"{backlog.overdue_holds} of {backlog.open_holds} have expired but were not swept",
            "The task inference.tasks.sweep settles them. Check beat and the `housekeeping` worker.",
        )
