"""The placement policy: which versions are wanted on which engines of one base model. Facts in, a plan out.

**One engine** holds everything that serves, up to its `max_adapters`. Where that is not enough it holds what
is requested now, then what answers for its style, then what it has already, then what was used last. Other
versions are on no engine, and are loaded when a request asks for them.

**Several engines**: a version is wanted on one, the emptiest with room. It is wanted on more once it takes
more than one engine's share of all requests, up to all of them, and on one more if it is requested while none
of its own answers. A draining engine keeps a version until another one has it loaded.

**Nothing flaps.** A version stays where it is as long as there is room. A copy too many goes when all copies
are loaded, and not while twice the demand would need it. Engines are evened out when one holds clearly more
than another and everything is in its place, a few versions at a time: loaded there first, then dropped here.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

BUSY_PER_MINUTE = 12.0  # a version with fewer requests needs no copy, however few others there are
# Each move costs the engine a load. The next plan goes on.
MAX_MOVES_PER_PLAN = 20
# Rebalance when the fullest engine has this many more than the emptiest: a share of the mean, and a minimum.
MAX_IMBALANCE = 0.2
MIN_IMBALANCE_ADAPTERS = 8

type Plan = dict[int, set[UUID]]  # engine → the versions that are wanted there


@dataclass(frozen=True)
class Candidate:
    """A version that may be on engines. `places`: where it is wanted now → whether it answers from there."""

    version: UUID
    is_requested: bool
    has_alias: bool
    used_at: datetime
    per_minute: float
    fits_on: frozenset[int]
    places: Mapping[int, bool]

    @property
    def priority(self) -> tuple[bool, bool, bool, datetime, UUID]:
        """What decides which versions are loaded where not all can be: the higher, the sooner."""
        return self.is_requested, self.has_alias, bool(self.places), self.used_at, self.version


@dataclass(frozen=True)
class EngineCapacity:
    """An engine, and how many adapters it takes; one that is not open is draining."""

    engine: int
    size: int
    is_open: bool = True
    is_healthy: bool = True


def plan_placements(candidates: Iterable[Candidate], capacities: Sequence[EngineCapacity]) -> Plan:
    """Return engine → the versions that are wanted there."""
    ranked = sorted(candidates, key=lambda candidate: candidate.priority, reverse=True)
    draft = _Draft(ranked, capacities)
    # Everybody's first place comes before anybody's copy.
    for candidate in ranked:
        draft.place_once(candidate)
    for candidate in ranked:
        draft.place_copies(candidate)
    for candidate in ranked:
        draft.keep_on_draining(candidate)
    draft.even_out(ranked)
    return draft.plan


class _Draft:
    """A plan in the making: each grant puts one version on one engine."""

    def __init__(self, candidates: Sequence[Candidate], capacities: Sequence[EngineCapacity]) -> None:
        self.plan: Plan = {capacity.engine: set() for capacity in capacities}
        self._open = {capacity.engine: capacity for capacity in capacities if capacity.is_open}
        self._granted: dict[UUID, list[int]] = {}
        self._load = Counter[int]()  # what is on an engine now, even if it is to go, and what is to come
        self._total_per_minute = 0.0
        for candidate in candidates:
            self._granted[candidate.version] = []
            self._load.update(candidate.places.keys())
            self._total_per_minute += candidate.per_minute

    def place_once(self, candidate: Candidate) -> None:
        """Give a version its first place: where it is, or else on the emptiest engine."""
        engine = self._best_of_its_own(candidate)
        if engine is None:
            engine = self._emptiest(candidate)
        if engine is not None:
            self._grant(candidate, engine)

    def place_copies(self, candidate: Candidate) -> None:
        """Let a version keep the copies that it needs beside its first place, and add those that it lacks."""
        granted = self._granted[candidate.version]
        needed = self._copies_needed(candidate)
        is_loaded = all(candidate.places.values())
        while len(granted) < needed or not is_loaded:
            engine = self._best_of_its_own(candidate)
            if engine is None:
                break
            self._grant(candidate, engine)
        while granted and len(granted) < needed:
            engine = self._emptiest(candidate)
            if engine is None:
                break
            self._grant(candidate, engine)

    def keep_on_draining(self, candidate: Candidate) -> None:
        """Leave a version on draining engines until an open one answers for it."""
        if any(candidate.places.get(engine) for engine in self._granted[candidate.version]):
            return
        for engine in candidate.places.keys() - self._open.keys():
            self.plan[engine].add(candidate.version)

    def even_out(self, candidates: Sequence[Candidate]) -> None:
        """Begin to move a few versions from the fullest engine to the emptiest, if they differ much."""
        if len(self._open) < 2 or not all(map(self._is_settled, candidates)):
            return
        counts = {engine: len(self.plan[engine]) for engine in self._open}
        fullest = max(counts, key=counts.__getitem__)
        emptiest = min(counts, key=counts.__getitem__)
        gap = counts[fullest] - counts[emptiest]
        mean = sum(counts.values()) / len(counts)
        if gap <= max(MIN_IMBALANCE_ADAPTERS, MAX_IMBALANCE * mean):
            return
        room = self._open[emptiest].size - counts[emptiest]
        moves = max(0, min(MAX_MOVES_PER_PLAN, gap // 2, room))
        # By their random ids: so much and little used versions move alike.
        for candidate in sorted(candidates, key=lambda candidate: candidate.version):
            if moves and self._granted[candidate.version] == [fullest] and emptiest in candidate.fits_on:
                self._grant(candidate, emptiest)
                moves -= 1

    def _is_settled(self, candidate: Candidate) -> bool:
        """Return whether a version is loaded on exactly the engines that are granted to it."""
        is_in_place = candidate.places.keys() == set(self._granted[candidate.version])
        return is_in_place and all(candidate.places.values())

    def _copies_needed(self, candidate: Candidate) -> int:
        """Return on how many engines a version is needed."""
        granted = self._granted[candidate.version]
        now = len(candidate.places.keys() & self._open.keys())
        # Twice the demand: a copy that was just needed must not come and go with each lull.
        kept = min(now, self._engines_for(2 * candidate.per_minute))
        needed = max(self._engines_for(candidate.per_minute), kept)
        if candidate.is_requested and not any(self._open[engine].is_healthy for engine in granted):
            needed = max(needed, len(granted) + 1)
        return needed

    def _engines_for(self, per_minute: float) -> int:
        """Return how many engines' share of all requests so many a minute are."""
        if per_minute < BUSY_PER_MINUTE:
            return 1
        return min(len(self._open), math.ceil(per_minute / self._total_per_minute * len(self._open)))

    def _best_of_its_own(self, candidate: Candidate) -> int | None:
        """Return the best engine that a version is wanted on now and that is not granted to it yet."""
        held = [engine for engine in candidate.places if self._is_free(candidate, engine)]
        return min(held, key=lambda e: (not candidate.places[e], self._load[e], e), default=None)

    def _emptiest(self, candidate: Candidate) -> int | None:
        """Return the engine that is best for one more; a full one if it has versions of lower priority."""
        free = [engine for engine in self._open if self._is_free(candidate, engine)]
        return min(free, key=self._fullness, default=None)

    def _fullness(self, engine: int) -> tuple[bool, bool, int, int]:
        capacity = self._open[engine]
        load = self._load[engine]
        return load >= capacity.size, not capacity.is_healthy, load, engine

    def _is_free(self, candidate: Candidate, engine: int) -> bool:
        """Return whether the plan has room for a version on an engine that it fits on."""
        if engine not in self._open or engine not in candidate.fits_on:
            return False
        if engine in self._granted[candidate.version]:
            return False
        return len(self.plan[engine]) < self._open[engine].size

    def _grant(self, candidate: Candidate, engine: int) -> None:
        self.plan[engine].add(candidate.version)
        self._granted[candidate.version].append(engine)
        if engine not in candidate.places:
            self._load[engine] += 1
