"""What runs: the parts that the site needs, workers, engines, gateways, and what waits for them.

Each `ask_…` is a row of `health.py`. What a store that is away raises, the row catches.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min, QuerySet
from django.template.defaultfilters import pluralize
from django.utils import timezone

from adapters.models import AdapterVersion, Engine, Erasure
from adapters.object_store import check_storage
from adapters.public import oldest_missing_s, summarize_engines
from core import valkey
from core.errors import NotFound
from core.queues import configured_queues, queue_of
from events.models import NoticeMail, WebhookEndpoint
from inference.public import epoch_of, lacks_key, read_backlog
from metering.models import UsageEvent
from operations.models import FailedTask
from operations.monitoring import background_tasks, gateway_metrics
from operations.monitoring.background_tasks import ping_broker, read_queues
from operations.monitoring.findings import Finding, Level, fault, judge, note, ok, words_of_seconds
from tenants.models import AuditEntry, Tenant
from training.public import find_silent, find_unserved

DRAIN = "inference.tasks.drain"
# A task here lasts as long as a training, so its messages wait for hours. Rows say whether one is stuck.
PATIENT_QUEUES = frozenset({"training"})
SILENT_AFTER_S = 120  # without a finished task
MANY_MESSAGES = 200  # beat sends about two per second, so nobody has worked for a minute and more
QUEUE_LATE_S = 600
OVERDUE_FACTOR = 3  # of a task's interval without a success
LAG_S = 60
PLACEMENT_LATE_S = 120
FAILED_LATELY = timedelta(hours=1)
LATE = timedelta(minutes=10)
IN_WORK_LATE = timedelta(minutes=30)
ERASURE_LATE = timedelta(hours=1)
NEWEST_ANSWERS = 1_000
IN_PROGRESS = "versions in progress"
SEE_JOBS = "See the worker's log, and Jobs in the console."


def ask_postgresql() -> Iterator[Finding]:
    """Ask PostgreSQL, which has accounts, styles and the ledger."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    yield ok("PostgreSQL", "responding")


def ask_migrations() -> Iterator[Finding]:
    """Look for migrations that are not applied."""
    missing = missing_migrations()
    seen = f"{len(missing)} not applied, starting with {missing[0]}" if missing else "all are applied"
    fix = "Run `manage.py migrate` (compose: `docker compose run --rm migrate`)."
    yield judge("migrations", seen, fix, is_bad=bool(missing))


def missing_migrations() -> list[str]:
    """Return the migrations that this code has and the database lacks. Raises DatabaseError."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def ask_valkey() -> Iterator[Finding]:
    """Ask Valkey, without which no request is let in."""
    valkey.client().ping()
    yield ok("Valkey", "responding")


def ask_broker() -> Iterator[Finding]:
    """Ask the broker, without which no task is sent."""
    ping_broker()
    yield ok("broker", "responding")


def ask_storage() -> Iterator[Finding]:
    """Ask S3, which has the adapters' files."""
    try:
        check_storage()
    except NotFound:
        seen = f"the bucket {settings.S3_BUCKET} doesn't exist"
        yield fault("storage", seen, "Create it as a private bucket, or fix S3_BUCKET.")
    else:
        yield ok("storage", f"the bucket {settings.S3_BUCKET} is available")


@dataclass(frozen=True)
class Queue:
    """How many messages wait in a queue, since when the oldest does, and when a task of it last went well."""

    name: str
    waiting: int
    age_s: float | None  # None: nothing says so
    silent_s: float | None  # None: never

    @property
    def oldest(self) -> str:
        """How long the oldest message has waited, in words."""
        if not self.waiting:
            return ""
        return "unknown" if self.age_s is None else words_of_seconds(self.age_s)

    @property
    def finding(self) -> Finding:
        """Whether a worker takes what waits, and in time."""
        subject = f"queue {self.name}"
        done = "no task has finished yet"
        if self.silent_s is not None:
            done = f"the last task finished {words_of_seconds(self.silent_s)} ago"
        seen = f"{self.waiting:,} message{pluralize(self.waiting)} waiting; {done}"
        if not self.waiting or self.name in PATIENT_QUEUES:
            return ok(subject, seen)
        is_silent = self.silent_s is None or self.silent_s > SILENT_AFTER_S
        if is_silent and (self.age_s is None or self.age_s > SILENT_AFTER_S):
            return fault(subject, seen, f"Start its worker: `celery -A config worker -Q {self.name}`.")
        if self.waiting > MANY_MESSAGES or (self.age_s or 0) > QUEUE_LATE_S:
            return note(subject, seen, "Add workers for this queue.")
        return ok(subject, seen)


def read_all_queues() -> list[Queue]:
    """Return every queue, the longest first. Raises redis.RedisError, DatabaseError."""
    last_s: dict[str, int] = {}
    for task, counts in background_tasks.read_counts(valkey.client()).items():
        if counts.last_s is not None:
            name = queue_of(task)
            last_s[name] = max(counts.last_s, last_s.get(name, 0))
    now_s = time.time()
    queues = []
    for name, (waiting, sent_s) in read_queues(queue_names()).items():
        age_s = None if sent_s is None else max(0.0, now_s - sent_s)
        queues.append(Queue(name, waiting, age_s, now_s - last_s[name] if name in last_s else None))
    return sorted(queues, key=lambda queue: (-queue.waiting, queue.name))


def queue_names() -> list[str]:
    """Return every queue that a task or an engine has. Raises DatabaseError."""
    names = configured_queues()
    names |= {engine.queue for engine in summarize_engines()}
    return sorted(names)


def ask_queues() -> Iterator[Finding]:
    """Look at how much waits for workers, for how long, and whether they take it."""
    for queue in read_all_queues():
        yield queue.finding


@dataclass(frozen=True)
class ScheduledTask:
    """One line of beat's schedule, and what became of it."""

    task: str
    queue: str
    every_s: float
    ago_s: float | None  # its last success; None: never
    succeeded: int
    failed: int

    @property
    def every(self) -> str:
        return words_of_seconds(self.every_s)

    @property
    def last(self) -> str:
        return "never" if self.ago_s is None else f"{words_of_seconds(self.ago_s)} ago"

    @property
    def finding(self) -> Finding:
        """Whether it went well lately. The drain runs every two seconds: without it, nothing does."""
        is_overdue = self.ago_s is not None and self.ago_s > max(
            SILENT_AFTER_S, OVERDUE_FACTOR * self.every_s
        )
        if self.task == DRAIN:
            seen = f"the drain last ran {self.last}"
            fix = "Start beat (exactly one) and the `housekeeping` worker. Their logs say why they stopped."
            return judge("beat", seen, fix, is_bad=is_overdue or self.ago_s is None)
        is_late = is_overdue or (self.ago_s is None and self.failed > 0)
        seen = f"last success {self.last}; {self.succeeded:,} succeeded, {self.failed:,} failed"
        return judge(f"task {self.task}", seen, SEE_JOBS, is_bad=is_late, level=Level.NOTE)


def read_schedule() -> list[ScheduledTask]:
    """Return beat's schedule, what is late first. Raises redis.RedisError."""
    counts = background_tasks.read_counts(valkey.client())
    now_s = time.time()
    lines = []
    for planned in settings.CELERY_BEAT_SCHEDULE.values():
        task = str(planned["task"])
        count = counts.get(task) or background_tasks.TaskCounts()
        lines.append(
            ScheduledTask(
                task=task,
                queue=queue_of(task),
                every_s=float(str(planned["schedule"])),
                ago_s=None if count.last_s is None else now_s - count.last_s,
                succeeded=count.succeeded,
                failed=count.failed,
            )
        )
    return sorted(lines, key=lambda line: (line.finding.is_ok, line.task))


def ask_schedule() -> Iterator[Finding]:
    """Look at what beat sends: whether the drain ran, and which tasks are late."""
    for line in read_schedule():
        if line.task == DRAIN or not line.finding.is_ok:
            yield line.finding


def ask_failed_tasks() -> Iterator[Finding]:
    """Look for tasks that failed in the last hour."""
    since = timezone.now() - FAILED_LATELY
    failing = FailedTask.objects.filter(last_at__gt=since).count()
    seen = f"{failing:,} task{pluralize(failing)} failed in the last hour"
    rows = f"operations_failedtask?last_at__gte={since:%Y-%m-%dT%H:%M:%SZ}"
    yield judge(
        "failed tasks", seen, SEE_JOBS, is_bad=failing > 0, level=Level.NOTE, value=failing, rows=rows
    )


type StuckKind = tuple[str, QuerySet[Any], str, str, str]


def ask_stuck() -> Iterator[Finding]:
    """Look for rows that wait longer than they should: for each kind, how many, and how old the oldest is."""
    now = timezone.now()
    stuck = []
    for name, found, column, rows, fix in _list_stuck(now):
        sums = found.order_by().aggregate(count=Count("pk"), at=Min(column))
        if sums["count"]:
            waited = words_of_seconds((now - sums["at"]).total_seconds())
            # What is checked or loaded may wait for its turn; of the rest, nobody does it.
            level = Level.NOTE if name == IN_PROGRESS else Level.FAULT
            stuck.append(Finding(name, level, f"{sums['count']:,}, oldest {waited}", fix, rows=rows))
    stale = Tenant.objects.stale().count()
    if stale:
        name = "workspaces not yet published to gateways"
        stuck.append(Finding(name, Level.NOTE, f"{stale:,}", SEE_JOBS, rows="tenants_tenant?state=stale"))
    yield from stuck or [ok("stuck", "nothing waits longer than it should")]


def _list_stuck(now: datetime) -> Iterator[StuckKind]:
    """Yield each kind: its name, the stuck rows, since when they are, where they are listed, and the fix."""
    in_work = AdapterVersion.objects.in_work().filter(created_at__lt=now - IN_WORK_LATE)
    rows = "adapters_adapterversion?status__in=uploaded,valid,pushing"
    yield IN_PROGRESS, in_work, "created_at", rows, SEE_JOBS
    erasures = Erasure.objects.filter(finished_at=None, requested_at__lt=now - ERASURE_LATE)
    yield "erasures", erasures, "requested_at", "adapters_erasure?finished_at__isempty=1", SEE_JOBS
    trainings = "training_training?stuck=yes"
    yield (
        "silent trainings",
        find_silent(now),
        "changed_at",
        trainings,
        "See the worker's log, and Jobs in the console. A worker resumes each from its checkpoint.",
    )
    start = "No worker takes them. Start one: `docker compose --profile training up -d`."
    yield "queued trainings", find_unserved(now), "changed_at", trainings, start
    # Deliveries behind one that is tried again later wait by design, so endpoints count.
    endpoints = WebhookEndpoint.objects.due(now - LATE)
    yield "webhook endpoints", endpoints, "next_attempt_at", "events_webhookendpoint", SEE_JOBS
    yield "mail", NoticeMail.objects.due(now - LATE), "next_attempt_at", "events_noticemail", SEE_JOBS
    entries = AuditEntry.objects.filter(position=None, at__lt=now - LATE)
    yield "unlinked audit log entries", entries, "at", "tenants_auditentry", SEE_JOBS


def ask_ledger() -> Iterator[Finding]:
    """Look at how long usage has waited for PostgreSQL."""
    backlog = read_backlog(valkey.client())
    lag_s = backlog.oldest_event_s
    events = backlog.pending_events
    seen = f"{events:,} event{pluralize(events)} waiting, the oldest for {words_of_seconds(lag_s)}"
    fix = "Check the `housekeeping` worker and PostgreSQL's locks."
    yield judge("ledger", seen, fix, is_bad=lag_s > LAG_S, value=lag_s)


def ask_refused_usage() -> Iterator[Finding]:
    """Look for usage that PostgreSQL refused for good."""
    refused = read_backlog(valkey.client()).refused_events
    seen = f"{refused:,} event{pluralize(refused, ' was,s were')} permanently rejected"
    fix = "See the Valkey stream `usage:refused`, and the worker's log for the reason."
    yield judge("refused usage", seen, fix, is_bad=refused > 0, value=refused)


def ask_holds() -> Iterator[Finding]:
    """Look for holds of requests that nobody settles. The value is how many are open."""
    backlog = read_backlog(valkey.client())
    overdue = backlog.overdue_holds
    seen = "of requests in progress"
    if overdue:
        one_or_more = "has expired but was" if overdue == 1 else "have expired but were"
        seen = f"{overdue:,} {one_or_more} not swept"
    fix = "The task inference.tasks.sweep settles them. Check beat and the `housekeeping` worker."
    yield judge("holds", seen, fix, is_bad=overdue > 0, level=Level.NOTE, value=backlog.open_holds)


def ask_engines() -> Iterator[Finding]:
    """Look at what the worker beside each engine reported last."""
    engines = [engine for engine in summarize_engines() if not engine.is_draining]
    if not engines:
        fix = "Run `manage.py registerengine` with the engine's ENGINE_ variables, or end its draining."
        yield fault("engines", "none is in service", fix)
    for engine in engines:
        subject = f"engine {engine.name}"
        if engine.is_silent:
            fix = f"Start it: `celery -A config worker -Q {engine.queue}`."
            yield fault(subject, "its worker isn't responding", fix)
        elif not engine.is_healthy:
            fix = "See its log. Its styles are loaded again once it is back."
            yield fault(subject, "not responding to its worker", fix)
        else:
            loaded = engine.wanted - engine.missing
            yield ok(subject, f"responding; {loaded:,} of {engine.wanted:,} requested styles are loaded")


def ask_placements() -> Iterator[Finding]:
    """Look at how long a style that a request needs has waited to be loaded."""
    waited_s = oldest_missing_s()
    seen = f"a requested style has waited {words_of_seconds(waited_s)} to load" if waited_s else "none waits"
    fix = "The list of placements in the console has the reason."
    yield judge("placements", seen, fix, is_bad=waited_s > PLACEMENT_LATE_S, level=Level.NOTE)


def ask_gateways() -> Iterator[Finding]:
    """Look for gateway processes, without which `/v1` is down; the value is how many requests wait there."""
    states = gateway_metrics.read_processes(valkey.client())
    queues = [queue for state in states for queue in state["engines"].values()]
    running = sum(queue["running"] for queue in queues)
    waiting = sum(queue["waiting"] for queue in queues)
    seen = f"{running:,} running; {len(states)} gateway process{'' if len(states) == 1 else 'es'}"
    is_down = not states and Engine.objects.in_service().exists()
    fix = "Start `web` and `gateway`. Their logs say which setting is invalid."
    yield judge("gateways", seen, fix, is_bad=is_down, value=waiting)


def ask_watermark() -> Iterator[Finding]:
    """Look at what the newest answers say: whether engines mark text, with keys by which it can be found."""
    if settings.WATERMARK == "off":
        yield note("watermark", "off: text is not marked", "Set WATERMARK=on to mark it.")
        return
    if not settings.WATERMARK_KEYS:
        fix = "Run `make secrets`, or set WATERMARK=off."
        yield note("watermark", "WATERMARK_KEYS is empty: text is not marked", fix)
        return
    newest = UsageEvent.objects.order_by("-admitted_at", "-id").values_list("engine", "watermark")
    said = set(newest[:NEWEST_ANSWERS])
    without_key = sorted({engine for engine, word in said if lacks_key(word)})
    epochs = {epoch_of(word) or 0 for _, word in said}
    unknown = sorted(epochs - settings.WATERMARK_KEYS.keys() - {0})
    for engine in without_key:
        yield fault(
            "watermark",
            f"engine {engine} has no key, so it answered without the mark",
            "Start it with the site's WATERMARK_KEYS, by engine/serve.py.",
        )
    for epoch in unknown:
        yield fault(
            "watermark",
            f"text is marked with the key of epoch {epoch}, which WATERMARK_KEYS lacks: it can't be found",
            "Add that key to WATERMARK_KEYS and restart `web`.",
        )
    if not without_key and not unknown:
        known = ", ".join(map(str, sorted(settings.WATERMARK_KEYS)))
        yield ok("watermark", f"keys of epochs {known}; the newest answers have none but these")
