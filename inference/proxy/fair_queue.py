"""Whose turn it is at an engine: weighted fair shares between tenants, and between the styles of each.

An engine works on `capacity` sequences at a time, with adapters in so many `slots`; what is beyond waits
here, where turns are fair, and not in the engine, where nothing that waits grows older. A request takes as
many places as it has sequences (prompts times choices), but no more than one tenant may have: vLLM itself
queues the rest. Next is the tenant that was
served least for its weight, and of its styles the one that was served least (start-time fair queueing: who
was idle begins at the present, with no credit for the time away). No tenant alone takes the last places, so
that whoever comes next begins at once, however much another has sent.

Where styles are more than slots, they take turns in them. One that has had its slot for QUANTUM_S begins
nothing more while others wait for a slot, so that it drains and leaves; as many must leave as wait, the
longest served first. The slot goes to the tenant that had slots for the least time for its weight, and there
to the style that has waited longest.

A wide request whose turn it is may find too few places free. Then it holds what becomes free until they are
enough. Only the share of the places that no tenant alone may take goes on to others meanwhile, so that
newcomers still begin at once, and what overtakes it can't keep it waiting: once what was at work before has
ended, it fits.

A process keeps turns for its own requests; an engine's places and slots are divided by the number of
processes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from inference.errors import EngineBusy

RESERVE = 0.25
WAITING_MAX = 2048
WAITING_MAX_PER_TENANT = 512
PATIENCE_S = 60
REMEMBERED_MAX = 512  # idle tenants whose share is remembered
QUANTUM_S = 1.0  # a change of adapters stops the engine for up to 50 ms: at most a twentieth of a quantum


@dataclass(eq=False, slots=True)
class Ticket:
    """One request's places at an engine, or its wait for them. `cost` is in tokens that it may need; `style`
    is what the engine calls the adapter, "" where the request needs none and so no slot. `places` are
    those that it has at work; `overtook` is whom, by the number of the hold.

    `rank` is how many sequences its tenant had at work when it began: the engine reads prompts in that order,
    so that nobody's first words wait for all that one tenant sent at once.
    """

    tenant: str
    style: str
    weight: int
    cost: int
    sequences: int = 1
    places: int = 0
    overtook: int = 0
    rank: int = 0
    is_at_work: bool = False
    asked_s: float = 0.0
    begins: asyncio.Future[None] | None = None


@dataclass(eq=False, slots=True)
class _StyleQueue:
    """One style of one tenant: its waiting requests, and what it has been served, in tokens."""

    style: str
    served: float = 0.0
    waiting: deque[Ticket] = field(default_factory=deque)


@dataclass(eq=False, slots=True)
class _TenantShare:
    """One tenant: its styles' lines, its sequences at work, its requests that wait, and what it has had for
    its weight: of tokens (`served`), and of slots (`slots_s`)."""

    served: float = 0.0
    slots_s: float = 0.0
    at_work: int = 0
    waiting: int = 0
    lines: dict[str, _StyleQueue] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class _Slot:
    """A style at work: since when, with how many requests, and whose it is."""

    share: _TenantShare
    weight: int
    since_s: float
    at_work: int = 0


class FairQueue:
    """The turns at one engine."""

    def __init__(self, capacity: int, *, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.at_work = 0
        self.waiting = 0
        self._clock = clock
        self._present = _TenantShare()  # where who was away begins while nobody waits
        self._shares: dict[str, _TenantShare] = {}
        self._taken: dict[str, _Slot] = {}  # the longest taken first
        self._held: tuple[_TenantShare, _StyleQueue, Ticket] | None = None  # for whom free places are kept
        self._holds = 0  # how often that was
        self._overtaking = 0  # places of those who began meanwhile and are still at work
        self.resize(capacity, slots=slots)

    @property
    def load(self) -> float:
        """How much is at work or waits, over what the engine works on at a time."""
        return (self.at_work + self.waiting) / self.capacity

    def resize(self, capacity: int, *, slots: int) -> None:
        """Let so many work from now on; those who are beyond that end first, and nobody loses a wait."""
        self.capacity, self.slots = max(1, capacity), max(1, slots)
        self._most = self.capacity - int(self.capacity * RESERVE)
        self._let_in()

    async def acquire(self, ticket: Ticket) -> None:
        """Return when the request may go to the engine; `leave` must follow. Raises EngineBusy."""
        share = self._share(ticket.tenant)
        if not share.waiting:
            self._arrive(share)
        if not self.waiting and self._has_places(ticket, share) and self._fits(ticket.style):
            return self._begin(ticket, share)
        self._stand_in_line(ticket, share)
        self._let_in()
        assert ticket.begins
        try:
            async with asyncio.timeout(PATIENCE_S):
                await ticket.begins
        except BaseException as error:
            if ticket.begins.done() and not ticket.begins.cancelled():
                self.release(ticket)  # its turn came at the moment when it gave up
            else:
                self._give_up(ticket, share)
            if isinstance(error, TimeoutError):
                raise EngineBusy(retry_s=10) from error
            raise

    def release(self, ticket: Ticket) -> None:
        """Give the place back, to whoever is next; who has none, or none any more, gives nothing back."""
        if not ticket.is_at_work:
            return
        ticket.is_at_work = False
        self.at_work -= ticket.places
        self._shares[ticket.tenant].at_work -= ticket.places
        if ticket.overtook and ticket.overtook == self._holds:
            self._overtaking -= ticket.places
        if ticket.style:
            self._leave_slot(ticket.style)
        if self.waiting:
            self._let_in()

    def _arrive(self, share: _TenantShare) -> None:
        """Let who was away begin at the present: beside those who wait and had least."""
        served, slots_s = self._present.served, self._present.slots_s
        if self.waiting:
            others = [other for other in self._shares.values() if other.waiting]
            served, slots_s = min(o.served for o in others), min(o.slots_s for o in others)
        share.served, share.slots_s = max(share.served, served), max(share.slots_s, slots_s)

    def _share(self, tenant: str) -> _TenantShare:
        share = self._shares.get(tenant)
        if share is None:
            if len(self._shares) > REMEMBERED_MAX:
                self._shares = {t: s for t, s in self._shares.items() if s.at_work or s.waiting}
            share = self._shares[tenant] = _TenantShare()
        return share

    def _stand_in_line(self, ticket: Ticket, share: _TenantShare) -> None:
        if self.waiting >= WAITING_MAX or share.waiting >= WAITING_MAX_PER_TENANT:
            raise EngineBusy(retry_s=5)
        style_queue = share.lines.setdefault(ticket.style, _StyleQueue(ticket.style))
        if not style_queue.waiting:
            others = [other.served for other in share.lines.values() if other.waiting]
            style_queue.served = max(style_queue.served, min(others, default=style_queue.served))
        ticket.asked_s, ticket.begins = self._clock(), asyncio.get_running_loop().create_future()
        style_queue.waiting.append(ticket)
        share.waiting += 1
        self.waiting += 1

    def _give_up(self, ticket: Ticket, share: _TenantShare) -> None:
        style_queue = share.lines.get(ticket.style)
        if style_queue and ticket in style_queue.waiting:
            style_queue.waiting.remove(ticket)
            if self._held and self._held[2] is ticket:
                self._held = None
            self._count_out(share)
            self._let_in()  # a style may go on that would have had to leave its slot to this one

    def _count_out(self, share: _TenantShare) -> None:
        share.waiting -= 1
        self.waiting -= 1
        if not share.waiting:
            share.lines.clear()  # between its styles, too, a tenant that waits for nothing is even

    def _let_in(self) -> None:
        while self.waiting and self.at_work < self.capacity and (chosen := self._next()):
            share, style_queue = chosen
            ticket = style_queue.waiting.popleft()
            if ticket.begins and not ticket.begins.cancelled():  # else it gave up and was not told yet
                style_queue.served += ticket.cost
                ticket.begins.set_result(None)
                self._begin(ticket, share)
            self._count_out(share)

    def _next(self) -> tuple[_TenantShare, _StyleQueue] | None:
        """Return whose first request is to begin, if one may; hold places for one that is too wide."""
        if self._held:
            share, style_queue, ticket = self._held
            if (
                style_queue.waiting
                and style_queue.waiting[0] is ticket
                and self._may(ticket, share)
                and self._fits(ticket.style)
            ):
                return (
                    (share, style_queue)
                    if self._has_places(ticket, share)
                    else self._overtaker(share, ticket)
                )
            self._held = None  # it gave up, or its slot is another's
        chosen = self._fair_choice()
        if chosen is None:
            return None
        share, style_queue = chosen
        if self._has_places(style_queue.waiting[0], share):
            return chosen
        self._held = share, style_queue, style_queue.waiting[0]
        self._holds, self._overtaking = self._holds + 1, 0
        return self._overtaker(share, style_queue.waiting[0])

    def _overtaker(self, held: _TenantShare, wide: Ticket) -> tuple[_TenantShare, _StyleQueue] | None:
        """Return who may begin before a wide request although it is its turn."""
        places = min(self.capacity - self._most - self._overtaking, self.capacity - self.at_work)
        is_slot_free = len(self._taken) + (wide.style not in self._taken and bool(wide.style)) < self.slots
        fitting = [
            (share, style_queue)
            for share in self._shares.values()
            for style_queue in share.lines.values()
            if share is not held and style_queue.waiting and self._may(style_queue.waiting[0], share)
            and self._places(style_queue.waiting[0]) <= places
            and (not style_queue.style or style_queue.style in self._taken or is_slot_free)
        ]  # fmt: skip
        if not fitting:
            return None
        share, style_queue = min(fitting, key=lambda pair: (pair[0].served, pair[0].at_work, pair[1].served))
        ticket = style_queue.waiting[0]
        ticket.overtook = self._holds
        return share, style_queue

    def _fair_choice(self) -> tuple[_TenantShare, _StyleQueue] | None:
        """Return whose turn it is, of those that their tenant's places and the slots allow to begin."""
        ready = [share for share in self._shares.values() if share.waiting and self._is_ready(share)]
        free = self.slots - len(self._taken)
        entering = self._entering(ready) if free < 2 else []
        wanted = len({style_queue.style for _, style_queue in entering})
        if free == 1 and wanted > 1:
            return min(entering, key=lambda pair: (pair[0].slots_s, pair[1].waiting[0].asked_s))
        leaving = () if free > 0 else self._leaving(wanted - free)  # below 0 where slots became fewer
        fitting = [(share, lines) for share in ready if (lines := self._fitting(share, leaving))]
        if not fitting:
            return None
        # Of those that were served as little, who has nothing at work is first.
        share, lines = min(fitting, key=lambda pair: (pair[0].served, pair[0].at_work))
        return share, min(lines, key=lambda style_queue: style_queue.served)

    def _places(self, ticket: Ticket) -> int:
        """Return how many places a request takes: no more than its tenant may have at all."""
        return min(ticket.sequences, self._most)

    def _may(self, ticket: Ticket, share: _TenantShare) -> bool:
        """Return whether a tenant may have a request at work beside what it has."""
        return share.at_work + self._places(ticket) <= self._most

    def _has_places(self, ticket: Ticket, share: _TenantShare) -> bool:
        """Return whether a request may begin, as far as places go."""
        return self._may(ticket, share) and self.at_work + self._places(ticket) <= self.capacity

    def _is_ready(self, share: _TenantShare) -> bool:
        """Return whether a tenant may begin what comes next of its own: else its narrow ones would keep its
        wide ones waiting for ever."""
        waiting = [style_queue for style_queue in share.lines.values() if style_queue.waiting]
        if not waiting:  # its last one is just beginning
            return True
        fitting = [style_queue for style_queue in waiting if self._fits(style_queue.style)] or waiting
        return self._may(min(fitting, key=lambda style_queue: style_queue.served).waiting[0], share)

    def _fits(self, style: str, leaving: Collection[str] = ()) -> bool:
        """Return whether a style fits the slots: it needs none, need not leave its own, or one is free."""
        if not style:
            return True
        return style not in leaving if style in self._taken else len(self._taken) < self.slots

    def _fitting(self, share: _TenantShare, leaving: Collection[str]) -> list[_StyleQueue]:
        return [
            style_queue for style_queue in self._possible(share) if self._fits(style_queue.style, leaving)
        ]

    def _possible(self, share: _TenantShare) -> list[_StyleQueue]:
        """Return the lines whose first request its tenant's places allow."""
        lines = share.lines.values()
        return [
            style_queue
            for style_queue in lines
            if style_queue.waiting and self._may(style_queue.waiting[0], share)
        ]

    def _entering(self, ready: list[_TenantShare]) -> list[tuple[_TenantShare, _StyleQueue]]:
        """Return the lines that wait for a slot."""
        lines = [(share, style_queue) for share in ready for style_queue in self._possible(share)]
        return [
            (share, style_queue)
            for share, style_queue in lines
            if style_queue.style and style_queue.style not in self._taken
        ]

    def _leaving(self, wanted: int) -> list[str]:
        """Return who must leave their slots: of the styles that had their time as many as others wait."""
        over_s = self._clock() - QUANTUM_S
        return [style for style, slot in self._taken.items() if slot.since_s <= over_s][:wanted]

    def _begin(self, ticket: Ticket, share: _TenantShare) -> None:
        self._present.served = max(self._present.served, share.served)
        for other in self._shares.values() if self.waiting else ():
            if other.waiting and not self._is_ready(other):
                # It waits with all that one tenant may have: what others are served is nothing owed to it.
                other.served = max(other.served, share.served)
        share.served += ticket.cost / ticket.weight
        ticket.rank, ticket.is_at_work, ticket.places = share.at_work, True, self._places(ticket)
        share.at_work += ticket.places
        self.at_work += ticket.places
        if ticket.overtook and ticket.overtook == self._holds:
            self._overtaking += ticket.places
        if self._held and self._held[2] is ticket:
            self._held = None
        if ticket.style:
            self._take_slot(ticket, share)

    def _take_slot(self, ticket: Ticket, share: _TenantShare) -> None:
        slot = self._taken.get(ticket.style)
        if slot is None:
            self._present.slots_s = max(self._present.slots_s, share.slots_s)
            share.slots_s += QUANTUM_S / ticket.weight  # what it really was is known when it leaves
            slot = self._taken[ticket.style] = _Slot(share, ticket.weight, self._clock())
        slot.at_work += 1

    def _leave_slot(self, style: str) -> None:
        slot = self._taken[style]
        slot.at_work -= 1
        if not slot.at_work:
            del self._taken[style]
            slot.share.slots_s += (self._clock() - slot.since_s - QUANTUM_S) / slot.weight
