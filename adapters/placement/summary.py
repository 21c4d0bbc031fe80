"""How engines, placements and versions are in numbers, now and over time: for metrics, doctor and console."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import Count, F, Sum
from django.utils import timezone

from adapters.models import AdapterVersion, Engine, EngineSample, Placement, Status


def summarize_engines() -> list[Any]:  # mypy knows no annotated fields
    """Return every engine that is not gone for good, by name, with the counts of its placements."""
    return list(Engine.objects.filter(is_gone=False).with_counts().order_by("name"))


def count_versions() -> Mapping[str, int]:
    """Return how many versions there are of each status."""
    rows = AdapterVersion.objects.order_by().values_list("status").annotate(Count("pk"))
    return dict.fromkeys(Status.values, 0) | dict(rows)


def oldest_missing_s() -> float:
    """Return how many seconds ago a request needed the placement that waits longest; 0: none."""
    waiting = Placement.objects.missing().exclude(requested_at=None)
    oldest = waiting.order_by("requested_at").values_list("requested_at", flat=True).first()
    return (timezone.now() - oldest).total_seconds() if oldest else 0.0


def count_ranks(engine: Engine) -> dict[int, int]:
    """Return rank → how many styles are placed on an engine, or serve on its base while none is placed there.

    A cluster loads any style that a request names, so all that serve on its base count.
    """
    versions = AdapterVersion.objects.filter(rank__isnull=False)
    placed = versions.filter(placements__in=engine.placements.filter(is_desired=True))
    if engine.kind == Engine.Kind.RAY or not placed.exists():
        placed = versions.filter(style__base_model=engine.base_model_id, status=Status.SERVING)
    return dict(Counter(rank for rank in placed.values_list("rank", flat=True) if rank))


def count_unpublished() -> int:
    """Return how many engines have changes that are not published."""
    return Engine.objects.stale().count()


# Of the samples, one a minute is kept for a day, one an hour for a month.


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
