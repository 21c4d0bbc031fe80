"""Whose request is next at an engine: weighted fair shares between tenants, and between each one's styles.

An engine runs `capacity` sequences at a time, with adapters in so many `slots`. What is beyond waits here,
where turns are fair, and not in the engine, where no wait ever counts. A request takes one place for each of
its sequences (prompts times choices), but no more than one tenant may have: vLLM itself queues the rest.
Next is the tenant that was served least for its weight, and of its styles the one that was served least
(start-time fair queueing). A tenant that was away begins at the present, with no credit for that time. No
tenant alone takes the last places.

A tenant that runs nothing at all begins one request at once, whatever others run: as an entrant, beyond the
places and slots, if there is no other way. The engine then interrupts a sequence of a tenant that has more,
or that has had its turn.

Where there are more styles than slots, they take turns in them. A style that has had its slot for a quantum
begins nothing more while others wait for a slot, so it drains and leaves. As many must leave as wait, the
longest served first. The slot goes to the tenant that had slots for the least time for its weight, and there
to the style that has waited longest.

A wide request whose turn it is may find too few free places. Then the queue holds what becomes free for it.
Meanwhile only the reserve, which no tenant alone may take, goes on to others. So newcomers still begin at
once, and what overtakes a wide request cannot keep it waiting: it fits once all that ran before has ended.

Each process queues its own requests; an engine's places and slots are divided by the number of processes.
"""

import asyncio
import time
from collections.abc import Callable

from inference.errors import EngineBusy
from inference.proxy.settings import ProxySettings
from inference.proxy.turn_order import (
    AdapterSlots,
    Candidate,
    EngineCapacity,
    StyleQueue,
    TenantShare,
    Ticket,
    TurnOrder,
)


class FairQueue:
    """The turns at one engine."""

    def __init__(
        self,
        capacity: int,
        *,
        slots: int,
        settings: ProxySettings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.waiting = 0
        self._settings = settings or ProxySettings()
        self._clock = clock
        self._capacity = EngineCapacity()
        self._slots = AdapterSlots(slots, clock)
        self._order = TurnOrder(self._capacity, self._slots)
        self._shares: dict[str, TenantShare] = {}
        self._present = TenantShare()  # where a tenant that was away begins while nobody waits
        self._held: Candidate | None = None  # the wide request for which free places are held
        self._holds = 0  # how often places were held: the number of the current hold
        self._overtaking = 0  # places of requests that began during this hold and still run
        self._entrants = 0
        self.resize(capacity, slots=slots)

    @property
    def load(self) -> float:
        """What runs or waits, over what the engine runs at a time."""
        return (self._capacity.running + self._entrants + self.waiting) / self._capacity.total

    @property
    def running(self) -> int:
        """How many places are taken, and how many requests run beyond them."""
        return self._capacity.running + self._entrants

    @property
    def capacity(self) -> int:
        """How many places there are."""
        return self._capacity.total

    @property
    def slots(self) -> int:
        """How many styles may run at a time."""
        return self._slots.count

    def resize(self, capacity: int, *, slots: int) -> None:
        """Change what may run from now on. What is beyond that ends first; what waits keeps its place."""
        self._capacity.resize(capacity)
        self._slots.count = max(1, slots)
        self._start_waiting()

    async def acquire(self, ticket: Ticket) -> None:
        """Return when the request may go to the engine; `release` must follow. Raises EngineBusy."""
        share = self._shares.get(ticket.tenant) or self._add_share(ticket.tenant)
        if not share.waiting:
            self._catch_up(share)
        if not self.waiting and self._capacity.have_room(ticket, share) and self._slots.fits(ticket.style):
            self._start(ticket, share)
            return
        turn = self._enqueue(ticket, share)
        self._start_waiting()
        self._enter_waiting()
        try:
            async with asyncio.timeout(self._settings.queue_wait_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.release(ticket)  # its turn came at the moment when it gave up
            else:
                self._give_up(ticket, share)
            if isinstance(error, TimeoutError):
                raise EngineBusy(retry_s=10) from error
            raise

    def release(self, ticket: Ticket) -> None:
        """Give a ticket's places to the next requests. A ticket that does not run has none to give."""
        if not ticket.is_running:
            return
        ticket.is_running = False
        share = self._shares[ticket.tenant]
        if ticket.is_entrant:
            self._entrants -= 1
            share.entrants -= 1
        else:
            self._capacity.running -= ticket.places
            share.running -= ticket.places
            if ticket.overtook and ticket.overtook == self._holds:
                self._overtaking -= ticket.places
            if ticket.style:
                self._slots.leave(ticket.style)
            if self.waiting:
                self._start_waiting()
        if self.waiting:
            self._enter_waiting()

    # Arriving and leaving

    def _add_share(self, tenant: str) -> TenantShare:
        if len(self._shares) > self._settings.idle_tenants_max:
            self._forget_idle_tenants()
        share = self._shares[tenant] = TenantShare()
        return share

    def _forget_idle_tenants(self) -> None:
        # An idle tenant loses nothing: it would begin at the present in any case (`_catch_up`).
        self._shares = {
            tenant: share
            for tenant, share in self._shares.items()
            if share.running or share.waiting or share.entrants
        }

    def _catch_up(self, share: TenantShare) -> None:
        """Let a tenant that was away begin at the present: beside those that wait and had least."""
        served = self._present.served
        slots_s = self._present.slots_s
        if self.waiting:
            others = [other for other in self._shares.values() if other.waiting]
            served = min(other.served for other in others)
            slots_s = min(other.slots_s for other in others)
        share.served = max(share.served, served)
        share.slots_s = max(share.slots_s, slots_s)

    def _enqueue(self, ticket: Ticket, share: TenantShare) -> asyncio.Future[None]:
        """Return the future of a ticket's turn. Raises EngineBusy where too many wait."""
        settings = self._settings
        is_full = self.waiting >= settings.queue_max or share.waiting >= settings.queue_max_per_tenant
        if is_full and not self._may_enter(share):
            raise EngineBusy(retry_s=5)
        queue = share.queues.setdefault(ticket.style, StyleQueue(ticket.style))
        if not queue.waiting:
            others = [other.served for other in share.waiting_queues()]
            queue.served = max(queue.served, min(others, default=queue.served))
        ticket.queued_s = self._clock()
        ticket.turn = asyncio.get_running_loop().create_future()
        queue.waiting.append(ticket)
        share.waiting += 1
        self.waiting += 1
        return ticket.turn

    def _give_up(self, ticket: Ticket, share: TenantShare) -> None:
        queue = share.queues.get(ticket.style)
        if queue is None or ticket not in queue.waiting:
            return
        queue.waiting.remove(ticket)
        if self._held and self._held.ticket is ticket:
            self._held = None
        self._count_one_less(share)
        self._start_waiting()  # a style may go on that would have had to leave its slot to this one

    def _count_one_less(self, share: TenantShare) -> None:
        share.waiting -= 1
        self.waiting -= 1
        if not share.waiting:
            share.queues.clear()  # the styles of a tenant that waits for nothing are even

    # Entrants

    def _may_enter(self, share: TenantShare) -> bool:
        is_newcomer = not share.running and not share.entrants
        return is_newcomer and self._entrants < self._settings.entrants_max

    def _enter(self, ticket: Ticket, share: TenantShare) -> None:
        """Start a request beyond the places and slots; its tokens count like all others."""
        self._present.served = max(self._present.served, share.served)
        share.served += ticket.cost / ticket.weight
        share.entrants += 1
        self._entrants += 1
        ticket.is_running = ticket.is_entrant = True

    def _enter_waiting(self) -> None:
        """Let tenants in that wait although they run nothing."""
        for share in sorted(self._shares.values(), key=lambda one: one.served):
            while share.waiting and self._may_enter(share):
                queue = min(share.waiting_queues(), key=lambda one: one.served)
                ticket = queue.waiting.popleft()
                if self._held and self._held.ticket is ticket:
                    self._held = None
                if ticket.turn and not ticket.turn.cancelled():  # else it gave up and was not told yet
                    queue.served += ticket.cost
                    self._enter(ticket, share)
                    ticket.turn.set_result(None)
                self._count_one_less(share)

    # Starting

    def _start_waiting(self) -> None:
        """Start waiting requests, in fair order, as long as places and slots allow."""
        while self.waiting and self._capacity.running < self._capacity.total:
            candidate = self._next()
            if candidate is None:
                return
            share, queue, ticket = candidate
            queue.waiting.popleft()
            if ticket.turn and not ticket.turn.cancelled():  # else it gave up and was not told yet
                queue.served += ticket.cost
                ticket.turn.set_result(None)
                self._start(ticket, share)
            self._count_one_less(share)

    def _start(self, ticket: Ticket, share: TenantShare) -> None:
        self._present.served = max(self._present.served, share.served)
        if self.waiting:
            self._level_full_tenants(share)
        share.served += ticket.cost / ticket.weight
        ticket.rank = share.running + share.entrants
        ticket.is_running = True
        ticket.places = self._capacity.needed(ticket)
        share.running += ticket.places
        self._capacity.running += ticket.places
        if ticket.overtook and ticket.overtook == self._holds:
            self._overtaking += ticket.places
        if self._held and self._held.ticket is ticket:
            self._held = None
        if ticket.style:
            slots_s = share.slots_s
            if self._slots.take(ticket.style, share, ticket.weight):
                self._present.slots_s = max(self._present.slots_s, slots_s)

    def _level_full_tenants(self, share: TenantShare) -> None:
        """Owe nothing to tenants that wait only because they already run all that one tenant may."""
        for other in self._shares.values():
            if other.waiting and not self._order.is_ready(other):
                other.served = max(other.served, share.served)

    # Choosing

    def _next(self) -> Candidate | None:
        """Return whose request starts now, if any may; hold places for one that is too wide."""
        held = self._held
        if held is None or not self._is_still_next(held):
            self._held = None  # it gave up, or another style has its slot
            fair = self._order.choose_fairly(self._shares.values())
            if fair is None or self._capacity.have_room(fair.ticket, fair.share):
                return fair
            held = self._held = fair
            self._holds += 1
            self._overtaking = 0
        elif self._capacity.have_room(held.ticket, held.share):
            return held
        overtaker = self._order.choose_overtaker(self._shares.values(), held, overtaking=self._overtaking)
        if overtaker:
            overtaker.ticket.overtook = self._holds
        return overtaker

    def _is_still_next(self, held: Candidate) -> bool:
        """Return whether places are still to be held for a wide request."""
        waiting = held.queue.waiting
        is_first = bool(waiting) and waiting[0] is held.ticket
        if not is_first or not self._capacity.allow(held.ticket, held.share):
            return False
        return self._slots.fits(held.ticket.style)
