"""What all gateway processes counted, and how they are just now, as Prometheus metrics.

`inference/metrics.py` says what is counted; Valkey has the totals.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from core import valkey
from inference.public import ALL_METRICS, SUM, Histogram, read_total

# redis-py types each answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any
type ProcessState = dict[str, Any]  # as inference/proxy/metrics_flush.py writes it
type Rows = dict[str, dict[tuple[str, ...], int]]

PREFIX = "polyscribe_gateway_"


def collect_totals(store: Store) -> Iterator[Metric]:
    """Yield each counter and histogram with the totals of all processes. Raises redis.RedisError."""
    rows: Rows = defaultdict(dict)
    for written, count in store.hgetall(valkey.metrics_key()).items():
        name, words = read_total(written)
        rows[name][words] = int(count)
    for metric in ALL_METRICS:
        if isinstance(metric, Histogram):
            yield _histogram(metric, rows[metric.name])
        else:
            family = CounterMetricFamily(metric.name, metric.about, labels=metric.labels)
            for labels, count in rows[metric.name].items():
                # A total of a release with other labels is left out.
                if len(labels) == len(metric.labels):
                    family.add_metric(labels, count)
            yield family


def _histogram(metric: Histogram, rows: Mapping[tuple[str, ...], int]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(metric.name, metric.about, labels=metric.labels)
    by_labels: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for words, count in rows.items():
        *labels, bucket = words
        by_labels[tuple(labels)][bucket] = count
    for series, counts in by_labels.items():
        family.add_metric(series, list(_buckets(metric, counts)), counts.get(SUM, 0) / 1_000_000)
    return family


def _buckets(metric: Histogram, counts: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    """Yield each bound and how many durations were at most so long."""
    bounds = [*map(str, metric.bounds_s), "+Inf"]
    total = 0
    for number, bound in enumerate(bounds):
        total += counts.get(str(number), 0)
        yield bound, total


def read_processes(store: Store) -> list[ProcessState]:
    """Return how each live gateway process is. Raises redis.RedisError."""
    processes = store.zrange(valkey.metrics_processes_key(), 0, -1)
    if not processes:
        return []
    states = store.mget([valkey.metrics_process_key(process) for process in processes])
    # A killed process stays in the list for a while after its state has expired.
    return [json.loads(state) for state in states if state]


def collect_processes(store: Store) -> Iterator[Metric]:
    """Yield the sums over all live processes. Raises redis.RedisError."""
    states = read_processes(store)
    yield _gauge("processes", "Running gateway processes.", len(states))
    yield _gauge(
        "in_flight", "Admitted requests not yet settled.", sum(state["in_flight"] for state in states)
    )
    yield _gauge(
        "loading", "Requests waiting for a style to load.", sum(state["loading"] for state in states)
    )
    by_engine: dict[str, Counter[str]] = defaultdict(Counter)
    for state in states:
        for engine, facts in state["engines"].items():
            by_engine[engine].update({name: int(facts[name]) for name in ENGINE_GAUGES})
    for name, about in ENGINE_GAUGES.items():
        family = GaugeMetricFamily(f"{PREFIX}queue_{name}", about, labels=("engine",))
        for engine, sums in by_engine.items():
            family.add_metric((engine,), sums[name])
        yield family
    yield from _collect_residency(states)


ENGINE_GAUGES = {
    "waiting": "Requests waiting in an engine's queue.",
    "running": "Occupied slots in an engine's queue.",
    "capacity": "Capacity of an engine's queue.",
    "is_open": "Gateway processes whose circuit for an engine is open.",
}


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", about, value=value)


def _collect_residency(states: Iterable[ProcessState]) -> Iterator[Metric]:
    """Yield which adapters an engine has in its slots and in its memory, under vLLM's proposed names.

    vLLM says it only of adapters that answer just now (its pull request 54830 would say it of all). It keeps
    those that were used last, and the gateways know which those are.
    """
    used_ms, limits = _merge_uses(states)
    loaded = GaugeMetricFamily(
        "vllm:lora_adapter_loaded",
        "1 for each adapter that should be in a slot (gpu) or in memory (cpu) of an engine, by last use.",
        labels=("engine", "adapter_name", "level"),
    )
    slots = GaugeMetricFamily("vllm:max_gpu_lora_adapters", "Adapter slots of an engine.", labels=("engine",))
    in_slots = GaugeMetricFamily(
        "vllm:num_gpu_loaded_lora_adapters", "Adapters in an engine's slots.", labels=("engine",)
    )
    in_memory = GaugeMetricFamily(
        "vllm:num_cpu_loaded_lora_adapters", "Adapters in an engine's memory.", labels=("engine",)
    )
    for engine, (max_loras, max_cpu_loras) in limits.items():
        uses = used_ms[engine]
        newest = sorted(uses, key=lambda adapter: -uses[adapter])[:max_cpu_loras]
        slots.add_metric((engine,), max_loras)
        in_slots.add_metric((engine,), min(len(newest), max_loras))
        in_memory.add_metric((engine,), len(newest))
        for number, adapter in enumerate(newest):
            level = "gpu" if number < max_loras else "cpu"
            loaded.add_metric((engine, adapter, level), 1)
    yield from (loaded, slots, in_slots, in_memory)


def _merge_uses(
    states: Iterable[ProcessState],
) -> tuple[dict[str, dict[str, int]], dict[str, tuple[int, int]]]:
    """Return each engine's adapters with their last use by any process, and its limits."""
    used_ms: dict[str, dict[str, int]] = defaultdict(dict)
    limits = {}
    for state in states:
        for engine, facts in state["engines"].items():
            limits[engine] = (facts["max_loras"], facts["max_cpu_loras"])
            for adapter, at_ms in facts["used"]:
                used_ms[engine][adapter] = max(at_ms, used_ms[engine].get(adapter, 0))
    return used_ms, limits
