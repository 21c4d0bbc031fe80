"""The console's own series: samples of the gateways' totals, and what happened between them.

A sample a minute is kept for a day, one an hour for a month. It needs no Prometheus.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from core import valkey
from core.charts import Span
from inference.public import FIRST_BYTE, REFUSALS, REQUESTS, SUM, TOKENS, read_total
from operations.models import ServiceSample

type Totals = dict[str, int]


@dataclass(frozen=True)
class Interval:
    """What all gateways did in some time."""

    ends_at: datetime
    seconds: float
    counts: Totals = field(default_factory=dict)

    @property
    def requests_per_s(self) -> float:
        return self.counts.get("requests", 0) / self.seconds

    @property
    def tokens_per_s(self) -> float:
        return (self.counts.get("prompt", 0) + self.counts.get("completion", 0)) / self.seconds

    @property
    def refusals(self) -> dict[str, int]:
        """Errors by their code, the most frequent first."""
        codes = Counter({name[2:]: count for name, count in self.counts.items() if name.startswith("r:")})
        return {code: count for code, count in codes.most_common() if count}

    def first_byte_s(self, share: float) -> float | None:
        """Return within how many seconds a share of the answers began; None if none did.

        It is as exact as the buckets are: linear between the bounds of one, and the last bound at most.
        """
        bounds = FIRST_BYTE.bounds_s
        counts = [self.counts.get(f"b:{bucket}", 0) for bucket in range(len(bounds) + 1)]
        wanted = share * sum(counts)
        if not wanted:
            return None
        reached = 0
        for bucket, count in enumerate(counts[:-1]):
            if reached + count >= wanted:
                begins = bounds[bucket - 1] if bucket else 0.0
                return begins + (bounds[bucket] - begins) * (wanted - reached) / count
            reached += count
        return bounds[-1]


def read_totals(store: Any) -> Totals:
    """Return what all gateways counted since they began. Raises redis.RedisError."""
    totals: Counter[str] = Counter()
    for written, count in store.hgetall(valkey.metrics_key()).items():
        name, words = read_total(written)
        part = _name_part(name, words)
        if part:
            totals[part] += int(count)
    return dict(totals)


def _name_part(name: str, words: tuple[str, ...]) -> str:
    """Return what a total counts for in a sample; "" for those that no chart shows."""
    if name == REQUESTS.name:
        return "requests"
    if name == TOKENS.name:
        return words[0]
    if name == REFUSALS.name:
        return f"r:{words[0]}"
    if name == FIRST_BYTE.name and words[-1] != SUM:
        return f"b:{words[-1]}"
    return ""


def take_sample(store: Any, now: datetime) -> None:
    """Write this minute's sample once. Raises redis.RedisError."""
    minute = now.replace(second=0, microsecond=0)
    ServiceSample.objects.get_or_create(at=minute, defaults={"totals": read_totals(store)})


def read_series(span: Span, now: datetime) -> list[Interval]:
    """Return the intervals of a span, oldest first; a step without a sample is in the next interval."""
    # One step more: an interval needs the sample before it.
    since = now - span.length - span.step
    samples = ServiceSample.objects.filter(at__gt=since).order_by("at").values_list("at", "totals")
    return list(_intervals(_last_of_each_step(samples.iterator(), span.step)))


def read_latest(now: datetime) -> Interval | None:
    """Return what the last five minutes were like; None without two samples in them."""
    # Six, because beat may be late by some seconds.
    lately = ServiceSample.objects.filter(at__gt=now - timedelta(minutes=6)).order_by("at")
    samples = list(lately.values_list("at", "totals"))
    if len(samples) < 2:
        return None
    return next(_intervals([samples[0], samples[-1]]))


def _last_of_each_step(
    samples: Iterable[tuple[datetime, Totals]], step: timedelta
) -> list[tuple[datetime, Totals]]:
    last: dict[int, tuple[datetime, Totals]] = {}
    for sample in samples:
        last[int(sample[0].timestamp() // step.total_seconds())] = sample
    return list(last.values())


def _intervals(samples: list[tuple[datetime, Totals]]) -> Iterator[Interval]:
    for (began_at, before), (ends_at, after) in pairwise(samples):
        yield Interval(ends_at, (ends_at - began_at).total_seconds(), _subtract(after, before))


def _subtract(after: Mapping[str, int], before: Mapping[str, int]) -> Totals:
    """Return what was counted between two samples. Totals fall only where Valkey was emptied: then from 0."""
    was_emptied = any(after.get(name, 0) < count for name, count in before.items())
    if was_emptied:
        return dict(after)
    return {name: count - before.get(name, 0) for name, count in after.items()}
