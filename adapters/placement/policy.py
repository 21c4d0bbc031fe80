"""Which versions are wanted on which engines of one base model: facts in, a plan out. Asks nobody.

**One engine** holds everything that serves, up to its `max_adapters`. Where that is not enough it holds what
is asked for now, then what answers for its style, then what it has already, then what was used last: the warm
set. The rest is cold, on no engine, and comes when a request asks for it.

**Several engines**: a version is wanted on one, the emptiest with room. It is wanted on more once it takes
more than one engine's share of all requests, up to all of them, and on one more if it is asked for while none
of its own answers. A draining engine keeps a version until another one has it loaded.

**Nothing flaps.** A version stays where it is as long as there is room. A copy too many goes when all copies
are loaded, and not while twice the demand would need it. Engines are evened out when one holds clearly more
than another and everything is in its place, a few versions at a time: loaded there first, then dropped here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

BUSY_A_MINUTE = 12.0  # a version with fewer requests needs no copy, however little else is asked for
MOVES_AT_ONCE = 20
UNEVEN, UNEVEN_LEAST = 0.2, 8  # more adapters than the emptiest engine, of the mean and at least


@dataclass(frozen=True)
class Candidate:
    """A version that may be on engines. `places`: where it is wanted now → whether it answers from there."""

    version: UUID
    is_asked: bool
    answers: bool
    used_at: datetime
    a_minute: float
    fits: frozenset[int]
    places: Mapping[int, bool]

    @property
    def priority(self) -> tuple[bool, bool, bool, datetime, UUID]:
        """What decides who is in where not all can be: the higher the better."""
        return self.is_asked, self.answers, bool(self.places), self.used_at, self.version


@dataclass(frozen=True)
class EngineCapacity:
    """An engine, and how many adapters it takes; one that is not open is draining."""

    engine: int
    size: int
    is_open: bool = True
    is_healthy: bool = True


def plan_placements(
    candidates: Iterable[Candidate], capacities: Sequence[EngineCapacity]
) -> dict[int, set[UUID]]:
    """Return engine → the versions that are wanted there."""
    ranked = sorted(candidates, key=lambda candidate: candidate.priority, reverse=True)
    spread = _Spread(ranked, capacities)
    for candidate in ranked:
        spread.place(candidate)
    for candidate in ranked:
        spread.copy(candidate)
    for candidate in ranked:
        spread.keep_on_closed(candidate)
    spread.even_out(ranked)
    return spread.plan


class _Spread:
    def __init__(self, candidates: Sequence[Candidate], capacities: Sequence[EngineCapacity]) -> None:
        self.plan: dict[int, set[UUID]] = {capacity.engine: set() for capacity in capacities}
        self._open = {capacity.engine: capacity for capacity in capacities if capacity.is_open}
        held = [engine for candidate in candidates for engine in candidate.places]
        self._load = {engine: held.count(engine) for engine in self._open}
        self._total = sum(candidate.a_minute for candidate in candidates)
        self._granted: dict[UUID, list[int]] = {candidate.version: [] for candidate in candidates}

    def place(self, candidate: Candidate) -> None:
        """Give a version its first place: where it is, or else on the emptiest engine."""
        if engine := self._held(candidate) or self._emptiest(candidate):
            self._grant(candidate, engine)

    def copy(self, candidate: Candidate) -> None:
        """Let a version keep what it needs beyond its first place, and give it what it lacks of that."""
        granted, needed = self._granted[candidate.version], self._needed(candidate)
        while (len(granted) < needed or not all(candidate.places.values())) and (
            held := self._held(candidate)
        ):
            self._grant(candidate, held)
        while granted and len(granted) < needed and (engine := self._emptiest(candidate)):
            self._grant(candidate, engine)

    def keep_on_closed(self, candidate: Candidate) -> None:
        """Leave a version on draining engines until an open one answers for it."""
        if not any(candidate.places.get(engine) for engine in self._granted[candidate.version]):
            for engine in candidate.places.keys() - self._open.keys():
                self.plan[engine].add(candidate.version)

    def even_out(self, candidates: Sequence[Candidate]) -> None:
        """Begin to move a few versions from the fullest engine to the emptiest, if they differ much."""
        if len(self._open) < 2 or not all(self._is_settled(candidate) for candidate in candidates):
            return
        counts = {engine: len(self.plan[engine]) for engine in self._open}
        fullest, emptiest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        gap, mean = counts[fullest] - counts[emptiest], sum(counts.values()) / len(counts)
        if gap <= max(UNEVEN_LEAST, UNEVEN * mean):
            return
        left = min(MOVES_AT_ONCE, gap // 2, self._open[emptiest].size - counts[emptiest])
        movable = [c for c in candidates if self._granted[c.version] == [fullest] and emptiest in c.fits]
        # By their random ids: much and little used ones alike.
        for candidate in sorted(movable, key=lambda candidate: candidate.version)[: max(0, left)]:
            self._grant(candidate, emptiest)

    def _is_settled(self, candidate: Candidate) -> bool:
        return candidate.places.keys() == set(self._granted[candidate.version]) and all(
            candidate.places.values()
        )

    def _needed(self, candidate: Candidate) -> int:
        granted = self._granted[candidate.version]
        now = len(candidate.places.keys() & self._open.keys())
        needed = max(self._shares(candidate.a_minute), min(now, self._shares(2 * candidate.a_minute)))
        if candidate.is_asked and not any(self._open[engine].is_healthy for engine in granted):
            return max(needed, len(granted) + 1)
        return needed

    def _shares(self, a_minute: float) -> int:
        """Return on how many engines a version belongs that is asked for so often."""
        if a_minute < BUSY_A_MINUTE:
            return 1
        return min(len(self._open), math.ceil(a_minute / self._total * len(self._open)))

    def _held(self, candidate: Candidate) -> int | None:
        """Return the best of the engines that a version is wanted on now, beyond those granted to it."""
        held = [engine for engine in candidate.places if self._has_place(candidate, engine)]
        return min(held, key=lambda e: (not candidate.places[e], self._load[e], e), default=None)

    def _emptiest(self, candidate: Candidate) -> int | None:
        """Return the engine that is best for one more; a full one if it holds some of less standing."""
        places = [engine for engine in self._open if self._has_place(candidate, engine)]
        return min(places, key=self._fullness, default=None)

    def _fullness(self, engine: int) -> tuple[bool, bool, int, int]:
        capacity, load = self._open[engine], self._load[engine]
        return load >= capacity.size, not capacity.is_healthy, load, engine

    def _has_place(self, candidate: Candidate, engine: int) -> bool:
        capacity = self._open.get(engine)
        free = capacity is not None and len(self.plan[engine]) < capacity.size
        return free and engine in candidate.fits and engine not in self._granted[candidate.version]

    def _grant(self, candidate: Candidate, engine: int) -> None:
        self.plan[engine].add(candidate.version)
        self._granted[candidate.version].append(engine)
        if engine not in candidate.places:
            self._load[engine] += 1
