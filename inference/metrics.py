"""What a gateway process counts: the counters and histograms that Prometheus reads.

A count is a step in a dictionary, because the token path pays for it. Every few seconds the process adds what
it counted to the totals of all processes in Valkey (`inference/proxy/metrics_flush.py`), so a process that
ends takes nothing with it and no total ever falls. Labels are words of our own code and names of engines;
nothing that a client or a workspace chose is one.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from core import valkey
from inference.facts import Store

SUM = "sum_us"  # beside the buckets of a histogram: what was observed, in microseconds
PREFIX = "polyscribe_gateway_"


@dataclass(eq=False, slots=True)
class Counter:
    """A number for each combination of labels; it only grows."""

    name: str
    about: str
    labels: tuple[str, ...] = ()
    pending: dict[tuple[str, ...], int] = field(default_factory=dict)

    def add(self, *values: str, by: int = 1) -> None:
        """Count something `by` times, with one value for each label."""
        self.pending[values] = self.pending.get(values, 0) + by

    def take_pending(self) -> Iterator[tuple[str, int]]:
        """Yield what was counted since the last time, by the name of its total."""
        taken, self.pending = self.pending, {}
        for values, count in taken.items():
            yield name_total(self.name, *values), count


@dataclass(eq=False, slots=True)
class Histogram:
    """How many durations fell into each bucket, and their sum, for each combination of labels."""

    name: str
    about: str
    labels: tuple[str, ...]
    bounds_s: tuple[float, ...]
    pending: dict[tuple[str, ...], list[int]] = field(default_factory=dict)

    def observe(self, seconds: float, *values: str) -> None:
        """Count one duration, with one value for each label."""
        row = self.pending.get(values)
        if row is None:
            row = self.pending[values] = [0] * (len(self.bounds_s) + 2)
        row[bisect_left(self.bounds_s, seconds)] += 1
        row[-1] += int(seconds * 1_000_000)

    def take_pending(self) -> Iterator[tuple[str, int]]:
        """Yield what was observed since the last time, by the name of its total."""
        taken, self.pending = self.pending, {}
        for values, row in taken.items():
            *counts, sum_us = row
            for bucket, count in enumerate(counts):
                if count:
                    yield name_total(self.name, *values, str(bucket)), count
            yield name_total(self.name, *values, SUM), sum_us


FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
LONG_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

REQUESTS = Counter(f"{PREFIX}requests", "Requests by endpoint and HTTP status.", ("endpoint", "status"))
REFUSALS = Counter(f"{PREFIX}refusals", "Requests that failed, by error code.", ("code",))
OUTCOMES = Counter(f"{PREFIX}outcomes", "Generation requests by outcome.", ("outcome",))
TOKENS = Counter(f"{PREFIX}tokens", "Tokens reported by engines.", ("kind",))
FAILURES = Counter(f"{PREFIX}engine_failures", "Requests that failed on an engine.", ("engine", "reason"))
FAILOVERS = Counter(
    f"{PREFIX}failovers", "Requests retried elsewhere after an attempt on this engine.", ("engine",)
)
CIRCUITS_OPENED = Counter(
    f"{PREFIX}circuits_opened", "How often a gateway process opened the circuit of an engine.", ("engine",)
)
SETTLEMENT_RETRIES = Counter(
    f"{PREFIX}settlement_retries", "Settlements retried because Valkey was not responding."
)
SETTLEMENTS_LOST = Counter(
    f"{PREFIX}settlements_given_up", "Settlements left to the sweeper because Valkey stayed unavailable."
)
SETTLEMENTS_REFUSED = Counter(
    f"{PREFIX}settlements_refused", "Settlements with no hold or an already swept one.", ("reason",)
)
DURATION = Histogram(
    f"{PREFIX}request_duration_seconds",
    "Time from a request to the end of its response.",
    ("endpoint",),
    LONG_S,
)
FIRST_BYTE = Histogram(
    f"{PREFIX}time_to_first_byte_seconds",
    "Time from a request to the first byte of its stream, by where the style was loaded.",
    ("adapter",),
    LONG_S,
)
STAGES = Histogram(
    f"{PREFIX}stage_duration_seconds",
    "How long a request was in each stage: admission, queue, engine (until a stream's first byte).",
    ("stage",),
    FAST_S,
)

ALL: tuple[Counter | Histogram, ...] = (
    REQUESTS,
    REFUSALS,
    OUTCOMES,
    TOKENS,
    FAILURES,
    FAILOVERS,
    CIRCUITS_OPENED,
    SETTLEMENT_RETRIES,
    SETTLEMENTS_LOST,
    SETTLEMENTS_REFUSED,
    DURATION,
    FIRST_BYTE,
    STAGES,
)


def name_total(*words: str) -> str:
    """Return the field of a total in Valkey's hash: the metric's name and its labels, as JSON."""
    return json.dumps(words)


def read_total(written: str) -> tuple[str, tuple[str, ...]]:
    """Return the metric's name and the words that follow it."""
    name, *words = json.loads(written)
    return name, tuple(words)


def take_pending() -> dict[str, int]:
    """Return all that was counted since the last time, by the names of the totals."""
    pending: dict[str, int] = {}
    for metric in ALL:
        pending.update(metric.take_pending())
    return pending


def put_back(pending: Mapping[str, int], owed: dict[str, int]) -> None:
    """Add what could not be written to what is still owed."""
    for name, count in pending.items():
        owed[name] = owed.get(name, 0) + count


# One command is one step of Valkey's single thread: requests wait while it runs.
BATCH_SIZE = 500


def prune_totals(store: Store) -> int:
    """Remove the totals of engines that no gateway knows, so that they don't grow for ever; return how many.

    Raises redis.RedisError.
    """
    engines = set(store.hkeys(valkey.route_engines_key()))
    if not engines:
        return 0  # Valkey was emptied, and the routes are not written anew yet
    positions = {metric.name: metric.labels.index("engine") for metric in ALL if "engine" in metric.labels}
    stale = []
    for written in store.hkeys(valkey.metrics_key()):
        name, labels = read_total(written)
        position = positions.get(name)
        if position is not None and labels[position] not in engines:
            stale.append(written)
    for start in range(0, len(stale), BATCH_SIZE):
        store.hdel(valkey.metrics_key(), *stale[start : start + BATCH_SIZE])
    return len(stale)
