"""Where a request can go: the places of its route, and what this process knows of the engines behind them.

Of the places whose circuit is closed the healthy ones are best; of those, which have room; of those, where
the style was used lately, so that nothing must be read from memory or disk; of those, where least is in
flight.
"""

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from inference import telemetry
from inference.contract.route import NEAREST, Limits, Place, Route, State
from inference.errors import (
    AdapterAbsent,
    DomainError,
    EngineBroke,
    EngineRefuses,
    EngineUnavailable,
    RequestFailed,
)
from inference.proxy.fair_queue import FairQueue

FAILURES_MAX = 3  # of an engine, one after the other
OPEN_FOR_S = 3.0  # then it is left alone for so long
# One tenant's requests may fail by themselves. Only where those of several do, and nothing is answered
# between, is the engine left alone, and tried by all again after OPEN_FOR_S: else those tenants could keep it
# closed.
TROUBLED_TENANTS = 3
TROUBLED_WITHIN_S = 10.0
TOGETHER_S = 1.0  # requests that break off so close to each other broke for one reason
ABSENT_FOR_S = 1.0  # the same for a style that an engine does not know: it is being loaded again


logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Circuit:
    """Open after so many failures in a row; then one request at a time may try, so many seconds apart."""

    failures_max: int
    open_for_s: float
    failures: int = 0
    tries_again_s: float = 0.0
    pauses_until_s: float = 0.0

    @property
    def has_tripped(self) -> bool:
        """Return whether it failed so often that only one at a time may try until something is answered."""
        return self.failures >= self.failures_max

    def is_open(self) -> bool:
        """Return whether nobody may try just now."""
        now_s = time.monotonic()
        return now_s < self.pauses_until_s or (self.has_tripped and now_s < self.tries_again_s)

    def lets_through(self) -> bool:
        """Return whether the caller may try; if it is the one that tries again, the others wait."""
        if self.is_open():
            return False
        if not self.has_tripped:
            return True
        self.tries_again_s = time.monotonic() + self.open_for_s
        return True

    def fail(self) -> None:
        """Count a failure."""
        self.failures += 1
        self.tries_again_s = time.monotonic() + self.open_for_s

    def trip(self) -> None:
        """Open at once, as after so many failures."""
        self.failures = max(self.failures, self.failures_max - 1)
        self.fail()

    def pause(self) -> None:
        """Open for once; then all may try again."""
        self.pauses_until_s = time.monotonic() + self.open_for_s


class RecentlyUsed:
    """The last so many names that were used."""

    def __init__(self, most: int = 0) -> None:
        self.most = most
        self._names: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def use(self, name: str) -> None:
        """Count a use."""
        self._names[name] = None
        self._names.move_to_end(name)
        while len(self._names) > self.most:
            self._names.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        self._names.clear()


class Backend:
    """One engine as this process sees it: its turns, its circuit, and which adapters it used lately."""

    def __init__(self, limits: Limits, processes: int, name: str = "") -> None:
        self.name = name
        self._processes = processes
        self._troubled: dict[str, float] = {}  # when requests of which tenants failed, since the last answer
        self._broke_s: deque[float] = deque(maxlen=2)
        self.queue = FairQueue(1, slots=1)
        self._slots, self._memory = RecentlyUsed(), RecentlyUsed()
        self._circuit = Circuit(FAILURES_MAX, OPEN_FOR_S)
        self._absent: dict[str, Circuit] = {}
        self.fit(limits)

    def fit(self, limits: Limits) -> None:
        """Let the engine do so much from now on; whoever is at work or waits there stays."""
        self.limits = limits
        self.queue.resize(limits.max_num_seqs // self._processes, slots=limits.slots // self._processes)
        self._slots.most, self._memory.most = limits.max_loras, limits.max_cpu_loras

    def state(self, adapter: str) -> State:
        """Return how near an adapter should be: among the engine's slots, in its memory, or on its disk."""
        if not adapter or adapter in self._slots:
            return "warm"
        return "cpu" if adapter in self._memory else "disk"

    def can_try(self, adapter: str) -> bool:
        """Return whether an adapter may be asked for just now."""
        absent = self._absent.get(adapter)
        return not (self._circuit.is_open() or (absent and absent.is_open()))

    def lets_through(self, adapter: str) -> bool:
        """Return whether the caller may ask now, for all others too where a circuit is open."""
        absent = self._absent.get(adapter)
        return (
            self.can_try(adapter) and (not absent or absent.lets_through()) and self._circuit.lets_through()
        )

    def answered(self, adapter: str) -> None:
        """Note an answer: the engine is there, and has the adapter at work."""
        if self._circuit.has_tripped:
            telemetry.circuit_closed(self.name)
        self._circuit.failures = 0
        self._troubled.clear()
        self._absent.pop(adapter, None)
        if adapter:
            self._slots.use(adapter)
            self._memory.use(adapter)

    def failed(self, adapter: str, error: DomainError, *, tenant: str = "", is_down: bool = False) -> None:
        """Note a failure, and of what: the adapter, the engine, or one tenant's request.

        `is_down`: the engine's own word on its health. Without it what went wrong with a request that the
        engine had is that request's until those of several tenants fail.
        """
        if isinstance(error, AdapterAbsent):
            self._circuit.failures = 0
            self._absent.setdefault(adapter, Circuit(1, ABSENT_FOR_S)).fail()
        elif is_down:
            self._fail(self._circuit.trip, "its health check failed")
        elif isinstance(error, EngineBroke | EngineRefuses | RequestFailed):
            self._trouble(tenant)
        elif isinstance(error, EngineUnavailable):
            self._fail(self._circuit.fail, "it can't be reached")

    def broke_off(self) -> None:
        """Note that a connection broke with a request in the engine's hands."""
        self._broke_s.append(time.monotonic())

    def broke_with_others(self) -> bool:
        """Return whether several connections broke just now."""
        since_s = time.monotonic() - TOGETHER_S
        return sum(broke_s >= since_s for broke_s in self._broke_s) > 1

    def _fail(self, count: Callable[[], None], reason: str) -> None:
        was_tripped = self._circuit.has_tripped
        count()
        if not self._circuit.has_tripped:
            return
        self._slots.clear()  # what comes back has forgotten, too
        self._memory.clear()
        if not was_tripped:
            telemetry.circuit_opened(self.name, reason)

    def _trouble(self, tenant: str) -> None:
        now_s = time.monotonic()
        self._troubled[tenant] = now_s
        lately = [at_s for at_s in self._troubled.values() if at_s > now_s - TROUBLED_WITHIN_S]
        if len(lately) >= TROUBLED_TENANTS:
            self._troubled.clear()
            self._circuit.pause()
            telemetry.circuit_opened(self.name, f"requests of {len(lately)} workspaces failed")


@dataclass(eq=False)
class Backends:
    """All engines as this process sees them; `processes` share each engine's places and slots."""

    processes: int
    _backends: dict[str, Backend] = field(default_factory=dict)

    def backend(self, place: Place) -> Backend:
        """Return the engine of a place."""
        backend = self._backends.get(place.engine)
        if backend is None:
            backend = self._backends[place.engine] = Backend(place.limits, self.processes, place.engine)
            self._warn(place)
        elif backend.limits != place.limits:
            backend.fit(place.limits)  # not a new one: while routes are written anew they differ for a while
        return backend

    def best(self, route: Route, *, without: Collection[str] = ()) -> tuple[Place, Backend] | None:
        """Return the best place that can be asked now, or None; `without` are engines that failed."""
        found = [
            (place, backend)
            for place in route.places
            if place.engine not in without and (backend := self.backend(place)).can_try(place.adapter)
        ]
        return min(found, key=_distance) if len(found) > 1 else found[0] if found else None

    def _warn(self, place: Place) -> None:
        places, slots = place.limits.max_num_seqs, place.limits.slots
        if min(places, slots) < self.processes:
            logger.warning(
                "Engine %s may get more than it works on at once: each of %d web processes uses one or more "
                "of its %d places and %d adapter slots. Lower WEB_WORKERS or raise the engine's limits.",
                place.engine, self.processes, places, slots,
            )  # fmt: skip


def _distance(at: tuple[Place, Backend]) -> tuple[bool, bool, int, float]:
    place, backend = at
    load = backend.queue.load
    return not place.healthy, load >= 1, NEAREST.index(backend.state(place.adapter)), load
