"""The server of `/metrics`: one for an installation, on a port of its own that no client of the API reaches.

It asks Valkey, the broker and PostgreSQL at each scrape, so any number of gateways, web processes and workers
are one target. A source that does not answer is left out; the checks of health say which part is away.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from django.db import close_old_connections
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core import valkey
from core.cached_result import CachedResult
from operations.monitoring import gateway_metrics, service_metrics
from operations.monitoring.findings import Finding, Level
from operations.monitoring.health import CHECKS, OK, OUTAGES, part_state

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
            partial(service_metrics.collect_backlog, store),
            partial(service_metrics.collect_tasks, store),
            partial(service_metrics.collect_logins, store),
        ],
        "PostgreSQL": [
            service_metrics.collect_engines,
            service_metrics.collect_versions,
            service_metrics.collect_trainings,
        ],
        "the broker": [service_metrics.collect_queues],
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
