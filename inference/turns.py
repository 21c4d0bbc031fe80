"""Whose turn it is at an engine: weighted fair shares between tenants, and between the styles of each.

An engine works on `capacity` requests at a time; those beyond wait here, where turns are fair, and not in the
engine, where the first come is the first served. Next is the tenant that was served least for its weight, and
of its styles the one that was served least (start-time fair queueing: who was idle begins at the present,
with no credit for the time away). No tenant alone takes the last places, so that whoever comes next begins at
once, however much another has sent.

A process keeps turns for its own requests; an engine's places are divided by the number of processes.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from uuid import UUID

from inference.errors import EngineBusy

RESERVE = 0.25
WAITING_MAX = 2048
WAITING_MAX_PER_TENANT = 512
PATIENCE_S = 60
REMEMBERED_MAX = 512  # idle tenants whose share is remembered


@dataclass(eq=False)
class Turn:
    """One request's place at an engine, or its wait for one. `cost` is in tokens that it may need.

    `rank` is how many requests its tenant had at work when it began: the engine reads prompts in that order,
    so that nobody's first words wait for all that one tenant sent at once.
    """

    tenant: UUID
    style: str
    weight: int
    cost: int
    rank: int = 0
    begins: asyncio.Future[None] | None = None


@dataclass(eq=False)
class _Line:
    """One style of one tenant: its waiting requests, and what it has been served, in tokens."""

    served: float = 0.0
    waiting: deque[Turn] = field(default_factory=deque)


@dataclass(eq=False)
class _Share:
    """One tenant: its styles' lines, its requests at work, and what it has been served for its weight."""

    served: float = 0.0
    at_work: int = 0
    waiting: int = 0
    lines: dict[str, _Line] = field(default_factory=dict)


class Turns:
    """The turns at one engine."""

    def __init__(self, capacity: int) -> None:
        self.capacity = max(1, capacity)
        self.at_work = 0
        self.waiting = 0
        self._most = self.capacity - int(self.capacity * RESERVE)
        self._clock = 0.0
        self._shares: dict[UUID, _Share] = {}

    async def take(self, turn: Turn) -> None:
        """Return when the request may go to the engine; `leave` must follow. Raises EngineBusy."""
        share = self._share(turn.tenant)
        if not share.waiting:
            share.served = max(share.served, self._present())
            if share.at_work < self._most and self.at_work < self.capacity:
                # Others that wait while there is room have all that one tenant may have.
                return self._begin(turn, share)
        self._stand_in_line(turn, share)
        assert turn.begins
        try:
            async with asyncio.timeout(PATIENCE_S):
                await turn.begins
        except BaseException as error:
            if turn.begins.done() and not turn.begins.cancelled():
                self.leave(turn)  # its turn came at the moment when it gave up
            else:
                self._give_up(turn, share)
            if isinstance(error, TimeoutError):
                raise EngineBusy(retry_s=10) from error
            raise

    def leave(self, turn: Turn) -> None:
        """Give the place back, to whoever is next."""
        self.at_work -= 1
        self._shares[turn.tenant].at_work -= 1
        if self.waiting:
            self._let_in()

    def _present(self) -> float:
        """Return where who was away begins: beside the one who waits and was served least."""
        if not self.waiting:
            return self._clock
        return min(share.served for share in self._shares.values() if share.waiting)

    def _share(self, tenant: UUID) -> _Share:
        share = self._shares.get(tenant)
        if share is None:
            if len(self._shares) > REMEMBERED_MAX:
                self._shares = {t: s for t, s in self._shares.items() if s.at_work or s.waiting}
            share = self._shares[tenant] = _Share()
        return share

    def _stand_in_line(self, turn: Turn, share: _Share) -> None:
        if self.waiting >= WAITING_MAX or share.waiting >= WAITING_MAX_PER_TENANT:
            raise EngineBusy(retry_s=5)
        line = share.lines.setdefault(turn.style, _Line())
        if not line.waiting:
            others = [other.served for other in share.lines.values() if other.waiting]
            line.served = max(line.served, min(others, default=line.served))
        turn.begins = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        share.waiting += 1
        self.waiting += 1

    def _give_up(self, turn: Turn, share: _Share) -> None:
        line = share.lines.get(turn.style)
        if line and turn in line.waiting:
            line.waiting.remove(turn)
            self._count_out(share)

    def _count_out(self, share: _Share) -> None:
        share.waiting -= 1
        self.waiting -= 1
        if not share.waiting:
            share.lines.clear()  # between its styles, too, a tenant that waits for nothing is even

    def _let_in(self) -> None:
        while self.at_work < self.capacity:
            ready = [s for s in self._shares.values() if s.waiting and s.at_work < self._most]
            if not ready:
                return
            # Of those that were served as little, who has nothing at work is first.
            share = min(ready, key=lambda s: (s.served, s.at_work))
            line = min((ln for ln in share.lines.values() if ln.waiting), key=lambda ln: ln.served)
            turn = line.waiting.popleft()
            if turn.begins and not turn.begins.cancelled():  # else it gave up and was not told yet
                line.served += turn.cost
                turn.begins.set_result(None)
                self._begin(turn, share)
            self._count_out(share)

    def _begin(self, turn: Turn, share: _Share) -> None:
        self._clock = max(self._clock, share.served)
        for other in self._shares.values() if self.waiting else ():
            if other.waiting and other.at_work >= self._most:
                # It waits with all that one tenant may have: what others are served is nothing owed to it.
                other.served = max(other.served, share.served)
        share.served += turn.cost / turn.weight
        turn.rank = share.at_work
        share.at_work += 1
        self.at_work += 1
