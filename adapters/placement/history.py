"""Samples of how each engine is, and what happened between them.

A sample a minute is kept for a day, one an hour for a month.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.db.models import F, Sum

from adapters.models import Engine, EngineSample


@dataclass(frozen=True)
class SampledInterval:
    """What an engine did between two samples."""

    ends_at: datetime
    is_answering: bool
    loaded: int
    loads: int
    evictions: int  # unloaded, or forgotten by a restart


def take_samples(now: datetime) -> None:
    """Write this minute's sample of every engine once."""
    minute = now.replace(second=0, microsecond=0)
    answering = set(Engine.objects.answering().values_list("pk", flat=True))
    engines = Engine.objects.filter(is_gone=False).with_counts()
    counted = engines.annotate(loads=Sum("placements__loads", default=0), engine_id=F("pk"))
    samples = []
    for counts in counted.values("engine_id", "wanted", "loaded", "missing", "loads"):
        is_answering = counts["engine_id"] in answering
        samples.append(EngineSample(at=minute, is_answering=is_answering, **counts))
    EngineSample.objects.bulk_create(samples, ignore_conflicts=True)


def read_intervals(engine: Engine, *, since: datetime, step: timedelta) -> list[SampledInterval]:
    """Return what an engine did since a moment, one interval a step, oldest first."""
    samples = EngineSample.objects.filter(engine=engine, at__gt=since - step).order_by("at")
    last: dict[int, EngineSample] = {}
    silent: set[int] = set()
    for sample in samples.iterator():
        number = int(sample.at.timestamp() // step.total_seconds())
        last[number] = sample
        if not sample.is_answering:
            silent.add(number)
    kept = list(last.items())
    intervals = []
    for (_, before), (number, after) in pairwise(kept):
        loads = max(0, after.loads - before.loads)
        intervals.append(
            SampledInterval(
                ends_at=after.at,
                is_answering=number not in silent,
                loaded=after.loaded,
                loads=loads,
                evictions=max(0, loads - (after.loaded - before.loaded)),
            )
        )
    return intervals


def share_answered(intervals: Sequence[SampledInterval]) -> float | None:
    """Return in which share of the intervals an engine answered all the while; None without any."""
    if not intervals:
        return None
    return sum(interval.is_answering for interval in intervals) / len(intervals)
