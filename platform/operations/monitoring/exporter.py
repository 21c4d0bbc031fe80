"""The server of `/metrics`: one for an installation, on a port of its own that no client of the API reaches.

It asks Valkey, the broker and PostgreSQL at each scrape, so any number of gateways, web processes and workers
are one target. A source that does not answer is left out and has `polyscribe_up` 0: an alert tells.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import redis
from django.db import DatabaseError, InterfaceError, close_old_connections
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from psycopg_pool import PoolTimeout

from core import valkey
from core.cached_result import CachedResult
from operations.monitoring import gateway_metrics, service_metrics

OUTAGES = (redis.RedisError, DatabaseError, InterfaceError, PoolTimeout, OSError)
MAX_AGE_S = 2.0  # several servers that scrape at once cost one round of questions

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


def _sources() -> dict[str, list[Source]]:
    store = valkey.client()
    return {
        "valkey": [
            partial(gateway_metrics.collect_totals, store),
            partial(gateway_metrics.collect_processes, store),
            partial(service_metrics.collect_backlog, store),
            partial(service_metrics.collect_tasks, store),
            partial(service_metrics.collect_logins, store),
        ],
        "postgresql": [
            service_metrics.collect_engines,
            service_metrics.collect_versions,
            service_metrics.collect_trainings,
        ],
        "broker": [service_metrics.collect_queues],
    }


def _read_all() -> Iterator[Metric]:
    up = GaugeMetricFamily("polyscribe_up", "1 while the part responds to the exporter.", labels=("part",))
    for part, sources in _sources().items():
        try:
            for source in sources:
                yield from list(source())
        except OUTAGES:
            logger.exception("%s did not respond to the exporter", part)
            up.add_metric((part,), 0)
        else:
            up.add_metric((part,), 1)
    yield up


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
