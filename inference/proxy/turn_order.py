"""The order of turns at one engine: who may start, and which of those is first."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from inference.proxy.adapter_slots import AdapterSlots
from inference.proxy.tickets import Candidate, TenantShare, Ticket

RESERVE = 0.25  # the share of the places that no tenant alone may take


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
