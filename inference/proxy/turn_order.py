"""The order of turns at one engine: what waits and runs there, and which of it may start first.

Tickets of requests wait in queues of styles, in shares of tenants. Styles take turns in the engine's adapter
slots, requests in its places.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

# A change of adapters stops the engine for up to 50 ms: at most a twentieth of a quantum.
QUANTUM_S = 1.0
RESERVE = 0.25  # the share of the places that no tenant alone may take


@dataclass(eq=False, slots=True)
class Ticket:
    """One request's places at an engine, or its wait for them.

    `cost` is in tokens that it may need. `style` is the engine's name of the adapter, "" for the base model,
    which needs no slot. `places` are those that it has while it runs. `overtook` is the number of the hold
    during which it began, 0 outside of one. `is_entrant` says that it began beyond the places.

    `rank` is how many sequences its tenant ran when it began. The engine reads prompts in that order, so that
    nobody's first words wait for all that one tenant sent at once.
    """

    tenant: str
    style: str
    weight: int
    cost: int
    sequences: int = 1
    places: int = 0
    overtook: int = 0
    rank: int = 0
    is_running: bool = False
    is_entrant: bool = False
    queued_s: float = 0.0
    turn: asyncio.Future[None] | None = None


@dataclass(eq=False, slots=True)
class StyleQueue:
    """One style of one tenant: its waiting requests, and the tokens that it has been served."""

    style: str
    served: float = 0.0
    waiting: deque[Ticket] = field(default_factory=deque)


@dataclass(eq=False, slots=True)
class TenantShare:
    """One tenant: its styles' queues, its running sequences, and what it was served, over its weight."""

    slots_s: float = 0.0  # for which it had adapter slots
    served: float = 0.0  # tokens
    running: int = 0
    entrants: int = 0  # requests that run beyond the places
    waiting: int = 0
    queues: dict[str, StyleQueue] = field(default_factory=dict)

    def waiting_queues(self) -> list[StyleQueue]:
        """Return the queues in which somebody waits."""
        return [queue for queue in self.queues.values() if queue.waiting]


class Candidate(NamedTuple):
    """The first request of one style of one tenant."""

    share: TenantShare
    queue: StyleQueue
    ticket: Ticket


@dataclass(eq=False, slots=True)
class _Slot:
    """A style that runs: since when, with how many requests, and whose time it takes."""

    tenant: TenantShare
    weight: int
    since_s: float
    running: int = 0


@dataclass(eq=False, slots=True)
class AdapterSlots:
    """The slots that a fair queue gives to styles. The base model ("") needs none."""

    count: int
    clock: Callable[[], float] = time.monotonic
    taken: dict[str, _Slot] = field(default_factory=dict)  # the longest taken first

    @property
    def free(self) -> int:
        """How many slots nobody has; below 0 where slots became fewer."""
        return self.count - len(self.taken)

    def fits(self, style: str, leaving: Collection[str] = ()) -> bool:
        """Return whether a style may run: it needs no slot, keeps its own, or one is free."""
        if not style:
            return True
        if style in self.taken:
            return style not in leaving
        return len(self.taken) < self.count

    def must_leave(self, wanted: int) -> list[str]:
        """Return the styles that begin nothing more: as many as are wanted, of those that had a quantum."""
        had_quantum_s = self.clock() - QUANTUM_S
        # `taken` is in the order in which slots were taken, so who had one for longest leaves first.
        leaving = [style for style, slot in self.taken.items() if slot.since_s <= had_quantum_s]
        return leaving[:wanted]

    def take(self, style: str, tenant: TenantShare, weight: int) -> bool:
        """Count one request of a style that runs; return whether its slot is a new one."""
        slot = self.taken.get(style)
        if slot:
            # Workspaces may share a style. Its slot counts to the one that took it.
            slot.running += 1
            return False
        tenant.slots_s += QUANTUM_S / weight  # an estimate, put right when the style leaves
        self.taken[style] = _Slot(tenant, weight, self.clock(), running=1)
        return True

    def leave(self, style: str) -> None:
        """Count one request of a style no more; its slot is free after the last one."""
        slot = self.taken[style]
        slot.running -= 1
        if slot.running == 0:
            del self.taken[style]
            slot.tenant.slots_s += (self.clock() - slot.since_s - QUANTUM_S) / slot.weight


@dataclass(eq=False, slots=True)
class EngineCapacity:
    """The places of one engine: what runs, and how much may."""

    total: int = 1
    max_per_tenant: int = 1
    running: int = 0

    def resize(self, total: int) -> None:
        """Change how many places there are."""
        self.total = max(1, total)
        self.max_per_tenant = self.total - int(self.total * RESERVE)

    def needed(self, ticket: Ticket) -> int:
        """Return how many places a request takes: no more than its tenant may have at all."""
        return min(ticket.sequences, self.max_per_tenant)

    def allow(self, ticket: Ticket, share: TenantShare) -> bool:
        """Return whether a tenant may run a request beside what it runs."""
        return share.running + self.needed(ticket) <= self.max_per_tenant

    def have_room(self, ticket: Ticket, share: TenantShare) -> bool:
        """Return whether there are places for a request, its tenant's and the engine's."""
        needed = self.needed(ticket)
        return share.running + needed <= self.max_per_tenant and self.running + needed <= self.total


@dataclass(eq=False, slots=True)
class TurnOrder:
    """Chooses whose request starts next. It changes nothing."""

    capacity: EngineCapacity
    slots: AdapterSlots

    def choose_fairly(self, shares: Iterable[TenantShare]) -> Candidate | None:
        """Return whose turn it is, of those that their tenant's places and the slots allow to start."""
        ready = [share for share in shares if share.waiting and self.is_ready(share)]
        free_slots = self.slots.free
        leaving: Collection[str] = ()
        if free_slots < 2:
            entering = self._entering(ready)
            wanted_slots = len({candidate.ticket.style for candidate in entering})
            if free_slots == 1 and wanted_slots > 1:
                return min(entering, key=lambda one: (one.share.slots_s, one.ticket.queued_s))
            if free_slots <= 0:
                leaving = self.slots.must_leave(wanted_slots - free_slots)
        fitting = []
        for share in ready:
            candidates = [
                candidate
                for candidate in self._allowed(share)
                if self.slots.fits(candidate.ticket.style, leaving)
            ]
            if candidates:
                fitting.append(min(candidates, key=lambda one: one.queue.served))
        # Of tenants that were served as little, one that runs nothing is first.
        return min(fitting, key=lambda one: (one.share.served, one.share.running), default=None)

    def choose_overtaker(
        self, shares: Iterable[TenantShare], held: Candidate, *, overtaking: int
    ) -> Candidate | None:
        """Return whose request may start before a wide one although it is the wide one's turn.

        `overtaking` is how many places such requests have already.
        """
        reserve = self.capacity.total - self.capacity.max_per_tenant
        free_places = min(reserve - overtaking, self.capacity.total - self.capacity.running)
        # The wide request needs a slot, too.
        wide_style = held.ticket.style
        kept_slots = 1 if wide_style and wide_style not in self.slots.taken else 0
        has_free_slot = self.slots.free > kept_slots
        fitting = []
        for share in shares:
            if share is held.share:
                continue
            for candidate in self._allowed(share):
                style = candidate.ticket.style
                has_slot = not style or style in self.slots.taken or has_free_slot
                if has_slot and self.capacity.needed(candidate.ticket) <= free_places:
                    fitting.append(candidate)
        return min(
            fitting, key=lambda one: (one.share.served, one.share.running, one.queue.served), default=None
        )

    def is_ready(self, share: TenantShare) -> bool:
        """Return whether a tenant may start what comes next of its own.

        Otherwise the narrow requests of a tenant would keep its wide ones waiting for ever.
        """
        waiting = share.waiting_queues()
        if not waiting:  # its last request is just starting
            return True
        fitting = [queue for queue in waiting if self.slots.fits(queue.style)]
        next_queue = min(fitting or waiting, key=lambda queue: queue.served)
        return self.capacity.allow(next_queue.waiting[0], share)

    def _allowed(self, share: TenantShare) -> list[Candidate]:
        """Return the first request of each style, where its tenant's places allow it to run."""
        candidates = []
        for queue in share.waiting_queues():
            ticket = queue.waiting[0]
            if self.capacity.allow(ticket, share):
                candidates.append(Candidate(share, queue, ticket))
        return candidates

    def _entering(self, ready: list[TenantShare]) -> list[Candidate]:
        """Return the requests that wait for a slot."""
        entering = []
        for share in ready:
            for candidate in self._allowed(share):
                style = candidate.ticket.style
                if style and style not in self.slots.taken:
                    entering.append(candidate)
        return entering
