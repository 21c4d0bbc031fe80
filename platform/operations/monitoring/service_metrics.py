"""What PostgreSQL, Valkey and the broker say of the service's health, as Prometheus metrics."""

from collections.abc import Iterator

from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from adapters.public import count_unpublished, count_versions, oldest_missing_s, summarize_engines
from core import valkey
from inference.public import read_backlog
from operations.monitoring import task_counts
from operations.monitoring.broker import read_queues
from operations.monitoring.gateway_metrics import Store
from operations.monitoring.running_checks import queue_names
from training.public import count_charged_tokens, count_trainings, longest_silent_s, oldest_queued_s

PREFIX = "polyscribe_"


def collect_backlog(store: Store) -> Iterator[Metric]:
    """Yield the open holds and the drain's lag. Raises redis.RedisError."""
    backlog = read_backlog(store)
    yield _gauge("holds_open", "Admitted requests with an open hold.", backlog.open_holds)
    yield _gauge(
        "holds_overdue", "Holds with an expired lease, to be settled by the sweeper.", backlog.overdue_holds
    )
    yield _gauge("ledger_pending_events", "Usage events waiting for the ledger.", backlog.pending_events)
    yield _gauge("ledger_lag_seconds", "How long the oldest of them has waited.", backlog.oldest_event_s)
    yield _gauge(
        "ledger_refused_events", "Usage events permanently rejected by the ledger.", backlog.refused_events
    )


def collect_tasks(store: Store) -> Iterator[Metric]:
    """Yield what workers did, by task. Raises redis.RedisError."""
    done = CounterMetricFamily(f"{PREFIX}tasks", "Finished tasks by outcome.", labels=("task", "outcome"))
    seconds = CounterMetricFamily(f"{PREFIX}task_seconds", "Time spent on tasks.", labels=("task",))
    last = GaugeMetricFamily(
        f"{PREFIX}task_last_success_timestamp_seconds", "Time of a task's last success.", labels=("task",)
    )
    for task, counts in sorted(task_counts.read_counts(store).items()):
        done.add_metric((task, "success"), counts.succeeded)
        done.add_metric((task, "failure"), counts.failed)
        seconds.add_metric((task,), counts.busy_s)
        if counts.last_s is not None:
            last.add_metric((task,), counts.last_s)
    yield from (done, seconds, last)


def collect_logins(store: Store) -> Iterator[Metric]:
    """Yield how many log-ins were refused after too many wrong passwords. Raises redis.RedisError."""
    lockouts = CounterMetricFamily(
        f"{PREFIX}login_lockouts", "Logins blocked after too many wrong passwords."
    )
    lockouts.add_metric((), int(store.get(valkey.login_lockouts_key()) or 0))
    yield lockouts


def collect_queues() -> Iterator[Metric]:
    """Yield how many messages wait in each queue. Raises redis.RedisError."""
    waiting = GaugeMetricFamily(
        f"{PREFIX}queue_messages", "Messages waiting for a worker.", labels=("queue",)
    )
    for queue, (length, _) in read_queues(queue_names()).items():
        waiting.add_metric((queue,), length)
    yield waiting


def collect_engines() -> Iterator[Metric]:
    """Yield engines and their placements. Raises django.db.DatabaseError."""
    engines = summarize_engines()
    healthy = _by_engine("engine_healthy", "1 while an engine responds to its worker.")
    silent = _by_engine("engine_silent", "1 while an engine's worker is not reporting.")
    draining = _by_engine("engine_draining", "1 while an engine is draining.")
    placements = GaugeMetricFamily(
        f"{PREFIX}placements",
        "Style versions on an engine: wanted, loaded, and wanted but not loaded yet (missing).",
        labels=("engine", "state"),
    )
    for engine in engines:
        healthy.add_metric((engine.name,), engine.is_healthy)
        silent.add_metric((engine.name,), engine.is_silent)
        draining.add_metric((engine.name,), engine.is_draining)
        for state in ("wanted", "loaded", "missing"):
            placements.add_metric((engine.name, state), getattr(engine, state))
    yield from (healthy, silent, draining, placements)
    yield _gauge(
        "placement_longest_wait_seconds",
        "How long the longest-waiting style has been requested without being loaded.",
        oldest_missing_s(),
    )
    yield _gauge(
        "routes_unpublished", "Engines with changes not yet published to gateways.", count_unpublished()
    )


def collect_versions() -> Iterator[Metric]:
    """Yield how many style versions there are of each status. Raises django.db.DatabaseError."""
    versions = GaugeMetricFamily(f"{PREFIX}versions", "Style versions by status.", labels=("status",))
    for status, count in sorted(count_versions().items()):
        versions.add_metric((status,), count)
    yield versions


def collect_trainings() -> Iterator[Metric]:
    """Yield how many trainings there are, and whether workers take and run them.

    Raises django.db.DatabaseError.
    """
    now = timezone.now()
    trainings = GaugeMetricFamily(f"{PREFIX}trainings", "Trainings by status.", labels=("status",))
    for status, count in count_trainings().items():
        trainings.add_metric((status,), count)
    tokens = CounterMetricFamily(f"{PREFIX}trained_tokens", "Trained tokens in the ledger.")
    tokens.add_metric((), count_charged_tokens())
    yield from (trainings, tokens)
    yield _gauge(
        "training_oldest_queued_seconds",
        "How long the oldest queued training has waited for a worker.",
        oldest_queued_s(now),
    )
    yield _gauge(
        "training_silent_seconds",
        "How long ago the most silent running training last showed a sign of life.",
        longest_silent_s(now),
    )


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", about, value=value)


def _by_engine(name: str, about: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", about, labels=("engine",))
