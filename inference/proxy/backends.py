"""Where a request can go: its route's placements, and what this process knows of the engines behind them.

Of the engines whose circuit is closed the healthy ones are best. Of those, the ones with room; of those, the
ones where the style was used lately, so that nothing must be read from memory or disk; of those, the one with
the least in flight.
"""

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice

from inference import telemetry
from inference.contract.route import NEAREST, EngineLimits, Placement, Route
from inference.errors import (
    AdapterAbsent,
    DomainError,
    EngineBroke,
    EngineRefuses,
    EngineUnavailable,
    RequestFailed,
)
from inference.facts import AdapterTier, JsonObject
from inference.proxy.fair_queue import FairQueue
from inference.proxy.settings import ProxySettings


@dataclass(eq=False, slots=True)
class Circuit:
    """A circuit breaker: opens after `max_failures` in a row.

    Then one request may try every `open_s`, until one succeeds.
    """

    max_failures: int
    open_s: float
    failures: int = 0
    retry_at_s: float = 0.0
    paused_until_s: float = 0.0

    @property
    def has_tripped(self) -> bool:
        """Whether it failed so often that only one request at a time may try."""
        return self.failures >= self.max_failures

    def is_open(self) -> bool:
        """Return whether nobody may try just now."""
        if self.failures < self.max_failures and not self.paused_until_s:
            return False  # as nearly always
        now_s = time.monotonic()
        return now_s < self.paused_until_s or (self.has_tripped and now_s < self.retry_at_s)

    def try_acquire(self) -> bool:
        """Return whether the caller may try. If it is the one that tries again, the others wait."""
        if self.is_open():
            return False
        if self.failures >= self.max_failures:
            self.retry_at_s = time.monotonic() + self.open_s
        return True

    def fail(self) -> None:
        """Count a failure."""
        self.failures += 1
        self.retry_at_s = time.monotonic() + self.open_s

    def trip(self) -> None:
        """Open at once, as after `max_failures`."""
        self.failures = max(self.failures, self.max_failures - 1)
        self.fail()

    def pause(self) -> None:
        """Open once; then all may try again."""
        self.paused_until_s = time.monotonic() + self.open_s


MAX_FAILURES = 3  # of an engine in a row, before its circuit opens
# One tenant's requests may fail by themselves, and must not close an engine for the others. The gateway only
# leaves an engine alone when requests of several tenants fail and none is answered between. Then all may try
# again after `circuit_open_s`: else those tenants could keep it closed.
TROUBLED_TENANTS = 3
TROUBLED_WITHIN_S = 10.0
MAX_DESCRIBED = 256  # adapters of one engine, whose last use operators see
SAME_CAUSE_WITHIN_S = 1.0  # requests that break off so close to each other broke for one reason

logger = logging.getLogger(__name__)


class RecentlyUsed:
    """The last `size` names that were used."""

    def __init__(self) -> None:
        self.size = 0
        self._names: OrderedDict[str, float] = OrderedDict()  # → when it was used

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def use(self, name: str) -> None:
        """Note a use."""
        # By the wall clock, because operators read it.
        self._names[name] = time.time()
        self._names.move_to_end(name)
        while len(self._names) > self.size:
            self._names.popitem(last=False)

    def newest(self, most: int) -> list[tuple[str, int]]:
        """Return the names that were used last, the newest first, and when, in Unix milliseconds."""
        newest = islice(reversed(self._names.items()), most)
        return [(name, int(used_s * 1000)) for name, used_s in newest]

    def clear(self) -> None:
        """Forget all names."""
        self._names.clear()


class Backend:
    """One engine as this process sees it: its fair queue, its circuits, and the adapters it used lately."""

    def __init__(self, limits: EngineLimits, processes: int, settings: ProxySettings, name: str = "") -> None:
        self.name = name
        self.queue = FairQueue(1, slots=1, settings=settings)
        self._processes = processes
        self._settings = settings
        self._circuit = Circuit(MAX_FAILURES, settings.circuit_open_s)
        self._absent_adapters: dict[str, Circuit] = {}
        self._adapters_in_slots = RecentlyUsed()
        self._adapters_in_memory = RecentlyUsed()
        self._failed_s_by_tenant: dict[str, float] = {}  # since the last answer
        # Two tell whether a break came alone.
        self._last_breaks_s: deque[float] = deque(maxlen=2)
        self.resize(limits)

    def resize(self, limits: EngineLimits) -> None:
        """Let the engine do as much as `limits` say from now on; what runs or waits there stays."""
        self.limits = limits
        # A process knows only its own requests, so it uses only its part of the engine (decision 10).
        self.queue.resize(limits.max_num_seqs // self._processes, slots=limits.slots // self._processes)
        self._adapters_in_slots.size = limits.max_loras
        self._adapters_in_memory.size = limits.max_cpu_loras

    def tier(self, adapter: str) -> AdapterTier:
        """Return how near an adapter should be: in one of the engine's slots, in its memory, or on disk."""
        if not adapter or adapter in self._adapters_in_slots:
            return "warm"
        return "cpu" if adapter in self._adapters_in_memory else "disk"

    def can_try(self, adapter: str) -> bool:
        """Return whether a request for an adapter may be sent just now."""
        if self._circuit.is_open():
            return False
        absent = self._absent_adapters.get(adapter) if self._absent_adapters else None
        return absent is None or not absent.is_open()

    def try_acquire(self, adapter: str) -> bool:
        """Return whether the caller may send its request; where a circuit tries again, it does so for all."""
        absent = self._absent_adapters.get(adapter)
        if absent and not (self.can_try(adapter) and absent.try_acquire()):
            return False
        return self._circuit.try_acquire()

    def mark_answered(self, adapter: str) -> None:
        """Note an answer: the engine works, and has the adapter in a slot."""
        self.mark_working()
        self._absent_adapters.pop(adapter, None)
        self._failed_s_by_tenant.clear()
        if adapter:
            self._adapters_in_slots.use(adapter)
            self._adapters_in_memory.use(adapter)

    def mark_refused(self, adapter: str) -> None:
        """Note that the engine refused a request that was not valid: it works, and knows the adapter."""
        self.mark_working()
        self._absent_adapters.pop(adapter, None)

    def mark_working(self) -> None:
        """Note that the engine answered, whatever it was."""
        if not self._circuit.failures:
            return
        if self._circuit.has_tripped:
            telemetry.circuit_closed(self.name)
        self._circuit.failures = 0

    def mark_failed(
        self, adapter: str, error: DomainError, *, tenant: str = "", request: str = "", is_down: bool = False
    ) -> None:
        """Note a failure, and of what: the adapter, the engine, or one tenant's request.

        `is_down` is the engine's own word on its health. Without it, a request that broke off is at fault
        itself, until requests of several tenants break off. A complete 5xx of a healthy engine is none of
        these (`diagnosis.py`).
        """
        if isinstance(error, AdapterAbsent):
            self.mark_working()  # a 404 for an adapter is an answer
            absent = self._absent_adapters.setdefault(adapter, Circuit(1, self._settings.adapter_absent_s))
            absent.fail()
        elif is_down:
            # Its own health check decides at once, without three failures (decision 14).
            self._count_failure(self._circuit.trip, "its health check failed", request)
        elif isinstance(error, EngineBroke | EngineRefuses | RequestFailed):
            self._count_tenant_failure(tenant, request)
        elif isinstance(error, EngineUnavailable):
            self._count_failure(self._circuit.fail, "it can't be reached", request)

    def mark_broken_off(self) -> None:
        """Note that a connection broke off while the engine had a request."""
        self._last_breaks_s.append(time.monotonic())

    def broke_off_others(self) -> bool:
        """Return whether several connections broke off just now."""
        since_s = time.monotonic() - SAME_CAUSE_WITHIN_S
        recent = [broke_s for broke_s in self._last_breaks_s if broke_s >= since_s]
        return len(recent) > 1

    def describe(self) -> JsonObject:
        """Return how this process sees the engine just now, for operators."""
        return {
            "waiting": self.queue.waiting,
            "running": self.queue.running,
            "capacity": self.queue.capacity,
            "is_open": self._circuit.is_open(),
            "max_loras": self.limits.max_loras,
            "max_cpu_loras": self.limits.max_cpu_loras,
            "used": self._adapters_in_memory.newest(MAX_DESCRIBED),
        }

    def _count_failure(self, count: Callable[[], None], reason: str, request: str) -> None:
        was_tripped = self._circuit.has_tripped
        count()
        if not self._circuit.has_tripped:
            return
        # An engine that comes back has no adapter in its slots and memory.
        self._adapters_in_slots.clear()
        self._adapters_in_memory.clear()
        if not was_tripped:
            telemetry.circuit_opened(request=request, engine=self.name, reason=reason)

    def _count_tenant_failure(self, tenant: str, request: str) -> None:
        now_s = time.monotonic()
        self._failed_s_by_tenant[tenant] = now_s
        since_s = now_s - TROUBLED_WITHIN_S
        recent = [failed_s for failed_s in self._failed_s_by_tenant.values() if failed_s > since_s]
        if len(recent) >= TROUBLED_TENANTS:
            self._failed_s_by_tenant.clear()
            self._circuit.pause()
            reason = f"requests of {len(recent)} workspaces failed"
            telemetry.circuit_opened(request=request, engine=self.name, reason=reason)


class Backends:
    """All engines as this process sees them. `processes` share each engine's places and slots."""

    def __init__(self, processes: int, settings: ProxySettings | None = None) -> None:
        self._processes = processes
        self._settings = settings or ProxySettings()
        self._backends: dict[str, Backend] = {}

    def __iter__(self) -> Iterator[Backend]:
        return iter(list(self._backends.values()))

    def backend(self, placement: Placement) -> Backend:
        """Return the engine of a placement."""
        backend = self._backends.get(placement.engine)
        if backend is None:
            backend = Backend(placement.limits, self._processes, self._settings, placement.engine)
            self._backends[placement.engine] = backend
            self._warn_of_low_limits(placement)
        elif backend.limits != placement.limits:
            # Not a new backend: while routes are written anew, two of them may differ for a while.
            backend.resize(placement.limits)
        return backend

    def best(self, route: Route, *, without: Collection[str] = ()) -> tuple[Placement, Backend] | None:
        """Return the best placement that may get a request now; `without` are engines that failed."""
        candidates = []
        for placement in route.placements:
            if placement.engine not in without:
                backend = self.backend(placement)
                if backend.can_try(placement.adapter):
                    candidates.append((placement, backend))
        # Most installations have one engine: nothing to compare.
        if len(candidates) == 1:
            return candidates[0]
        return min(candidates, key=_distance, default=None)

    def _warn_of_low_limits(self, placement: Placement) -> None:
        limits = placement.limits
        if min(limits.max_num_seqs, limits.slots) < self._processes:
            logger.warning(
                "Engine %s may get more than it can run at once: each of %d web processes uses one or more "
                "of its %d places and %d adapter slots. Lower WEB_WORKERS or raise the engine's limits.",
                placement.engine,
                self._processes,
                limits.max_num_seqs,
                limits.slots,
            )


def _distance(candidate: tuple[Placement, Backend]) -> tuple[bool, bool, int, float]:
    placement, backend = candidate
    load = backend.queue.load
    tier = backend.tier(placement.adapter)
    return not placement.healthy, load >= 1, NEAREST.index(tier), load
