"""The server of `/metrics`: one for an installation, on a port of its own that no client of the API reaches.

It asks Valkey, the broker and PostgreSQL at each scrape, so any number of gateways, web processes and workers
are one target. A source that does not answer is left out; the checks of health say which part is away.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from django.db import close_old_connections
from django.utils import timezone
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.public import count_unpublished, count_versions, oldest_missing_s, summarize_engines
from core import valkey
from inference.public import read_backlog
from operations.monitoring import background_tasks, gateway_metrics
from operations.monitoring.background_tasks import read_queues
from operations.monitoring.findings import Finding, Level
from operations.monitoring.gateway_metrics import Store
from operations.monitoring.health import CHECKS, OK, OUTAGES, CachedResult, part_state
from operations.monitoring.running_checks import queue_names
from training.public import count_charged_tokens, count_trainings, longest_silent_s, oldest_queued_s

# What PostgreSQL, Valkey and the broker say of the service's health, as Prometheus metrics.

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
    for task, counts in sorted(background_tasks.read_counts(store).items()):
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


MAX_AGE_S = 2.0  # several servers that scrape at once cost one round of questions

LABELS = ("check", "subject")

logger = logging.getLogger(__name__)

type Source = Callable[[], Iterable[Metric]]


class ServiceCollector(Collector):
    """Reads every source at each scrape. `release` gives back what the thread borrowed for it."""

    def __init__(self, release: Callable[[], None] = close_old_connections) -> None:
        self._release = release
        self._kept = CachedResult(self._read, max_age_s=MAX_AGE_S)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; those of a source that is away are missing."""
        yield from self._kept.read()

    def _read(self) -> list[Metric]:
        self._release()
        metrics = list(_read_all())
        self._release()
        return metrics


def _read_all() -> Iterator[Metric]:
    store = valkey.client()
    sources: dict[str, list[Source]] = {
        "Valkey": [
            partial(gateway_metrics.collect_totals, store),
            partial(gateway_metrics.collect_processes, store),
            partial(collect_backlog, store),
            partial(collect_tasks, store),
            partial(collect_logins, store),
        ],
        "PostgreSQL": [
            collect_engines,
            collect_versions,
            collect_trainings,
        ],
        "the broker": [collect_queues],
    }
    for name, collectors in sources.items():
        try:
            for collect in collectors:
                yield from list(collect())
        except OUTAGES:
            logger.exception("%s did not respond to the exporter", name)
    yield from _collect_health()


def _collect_health() -> Iterator[Metric]:
    """Yield which parts answer, and the level of each watched check's subjects.

    What can't be asked because a part is away has no level: that part says so, and alerts stay few.
    """
    up = GaugeMetricFamily(
        "polyscribe_up", "1 while the part responds and is as it must be.", labels=("part",)
    )
    levels = GaugeMetricFamily(
        "polyscribe_check", "A health check: 0 if all is well, 1 for a note, 2 for a fault.", labels=LABELS
    )
    watched = [check for check in CHECKS.values() if check.is_watched]
    for check in watched:
        found = check.run()
        if check.part:
            up.add_metric((check.part,), part_state(check, found) == OK)
            continue
        for subject, level in _levels(found).items():
            levels.add_metric((check.name, subject), level)
    yield from (up, levels)


def _levels(found: Iterable[Finding]) -> dict[str, int]:
    """Return subject → its worst level as a number."""
    levels: dict[str, int] = {}
    for finding in found:
        if not finding.is_away:
            level = list(Level).index(finding.level)
            levels[finding.subject] = max(level, levels.get(finding.subject, 0))
    return levels


def registry() -> CollectorRegistry:
    """Return a registry with all metrics of the installation."""
    metrics = CollectorRegistry()
    metrics.register(ServiceCollector())
    return metrics


def serve(host: str, port: int) -> Callable[[], None]:
    """Serve `/metrics` in a thread; return what stops it. Raises OSError where the port is taken."""
    server, thread = start_http_server(port, host, registry())

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
