"""More styles than slots, on a clock of the test's own: whatever is asked, none starves and none is idle."""

import asyncio
import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import count
from math import ceil
from statistics import median, quantiles

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.proxy.fair_queue import FairQueue
from inference.proxy.settings import ProxySettings
from inference.proxy.turn_order import QUANTUM_S, Ticket
from tests.profiles import examples

A, B = "ab"
TOKENS_A_S = 10


@dataclass(frozen=True)
class Client:
    """Asks one request of a style after the other, each so many seconds long."""

    tenant: str
    style: str
    seconds: float
    weight: int = 1


class Engine:
    """Requests end when their time is over; ends that come together come in the order of their begins."""

    def __init__(self, capacity: int, slots: int) -> None:
        self.now_s = 0.0
        without_entrants = ProxySettings(entrants_max=0)  # the turns alone
        self.queue = FairQueue(capacity, slots=slots, settings=without_entrants, clock=lambda: self.now_s)
        self.running: list[tuple[float, int, Ticket, Client]] = []
        self.asked_s: dict[Client, list[float]] = defaultdict(list)
        self.waits_s: dict[Client, list[float]] = defaultdict(list)
        self.served_s: Counter[str] = Counter()
        self.in_line: list[Ticket] = []
        self.since_s: dict[str, float] = {}
        self._numbers = count()
        self._tasks: set[asyncio.Task] = set()

    async def run(self, clients: list[Client], seconds: float, check=lambda: None) -> None:
        for client in clients:
            self._ask(client)
        await self._settle_down()
        while self.running and self.now_s < seconds:
            check()
            ends_s, _, ticket, client = heapq.heappop(self.running)
            self.now_s = ends_s
            self.queue.release(ticket)
            await self._settle_down()
            check()
            self._ask(client)
            await self._settle_down()
        self._end_waits()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def styles(self) -> set[str]:
        return {ticket.style for _, _, ticket, _ in self.running} - {""}

    def _ask(self, client: Client) -> None:
        cost = max(1, round(client.seconds * TOKENS_A_S))
        ticket = Ticket(client.tenant, client.style, client.weight, cost)
        self.in_line.append(ticket)
        self._tasks.add(asyncio.create_task(self._take(client, ticket)))

    async def _take(self, client: Client, ticket: Ticket) -> None:
        asked_s = self.now_s
        self.asked_s[client].append(asked_s)
        await self.queue.acquire(ticket)
        self.asked_s[client].remove(asked_s)
        self.in_line.remove(ticket)
        self.waits_s[client].append(self.now_s - asked_s)
        self.served_s[client.tenant] += client.seconds
        if ticket.style not in self.styles():
            self.since_s[ticket.style] = self.now_s
        heapq.heappush(self.running, (self.now_s + client.seconds, next(self._numbers), ticket, client))

    def _end_waits(self) -> None:
        """Count what still waits as if it ended now: a wait that never ends is the worst of all."""
        for client, parsed in self.asked_s.items():
            self.waits_s[client] += [self.now_s - asked_s for asked_s in parsed]

    async def _settle_down(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)


lengths = st.sampled_from([0.1, 0.3, 1.0, 2.5])
clients = st.lists(
    st.builds(
        Client, tenant=st.sampled_from([A, B]), style=st.sampled_from(["", *"abcdefghijkl"]), seconds=lengths
    ),
    min_size=1,
    max_size=40,
)


@given(clients=clients, capacity=st.integers(1, 40), slots=st.integers(1, 9))
@settings(max_examples=examples(80))
def test_no_more_styles_than_slots_are_running_and_no_place_is_left_free_in_vain(clients, capacity, slots):
    engine = Engine(capacity, slots)

    def check() -> None:
        styles = engine.styles()
        assert len(styles) <= slots
        assert len(engine.running) <= capacity
        if len(engine.running) == capacity:
            return
        working = Counter(ticket.tenant for _, _, ticket, _ in engine.running)
        waiting = {
            ticket.style
            for ticket in engine.in_line
            if working[ticket.tenant] < engine.queue._capacity.max_per_tenant
        }
        assert "" not in waiting  # the base model needs no slot, so nothing keeps it
        entering, leaving = waiting - styles, waiting & styles
        assert not entering or len(styles) == slots
        assert len(leaving) <= len(entering)  # no more must leave than wait, and each had its time
        assert all(engine.since_s[style] <= engine.now_s - QUANTUM_S for style in leaving)

    asyncio.run(engine.run(clients, 12, check))


@given(clients=clients, slots=st.integers(1, 9))
@settings(max_examples=examples(80))
def test_nobody_waits_longer_than_all_others_have_their_time(clients, slots):
    clients = [Client(A, client.style, client.seconds) for client in clients]
    engine = Engine(200, slots)
    asyncio.run(engine.run(clients, 30))
    longest_s = max(client.seconds for client in clients)
    rounds = ceil(len({client.style for client in clients}) / slots)
    worst_s = max(wait_s for waits in engine.waits_s.values() for wait_s in waits)
    assert worst_s <= rounds * (QUANTUM_S + longest_s) + 0.001


@given(
    many=st.integers(0, 9), slots=st.integers(1, 8), weights=st.sampled_from([(1, 1), (1, 4), (3, 1), (2, 3)])
)
@settings(max_examples=examples(40))
def test_tenants_share_scarce_slots_by_weight(many, slots, weights):
    styles = 2 * slots + 2 + many  # so many that each always has some in line
    ours = [Client(A, f"a{n}", 1.0, weights[0]) for n in range(styles)]
    theirs = [Client(B, f"b{n}", 1.0, weights[1]) for n in range(styles)]
    engine = Engine(200, slots)
    asyncio.run(engine.run(ours + theirs, 60))
    share = engine.served_s[A] / engine.served_s.total()
    assert share == pytest.approx(weights[0] / sum(weights), abs=0.07)


@pytest.mark.parametrize("each", [1, 3])
@pytest.mark.parametrize("seconds", [0.3, 2.0])
def test_sixty_four_styles_on_eight_slots_are_all_served_alike(each, seconds):
    mixed = [Client(A, f"s{n}", seconds * (1 + n % 3)) for n in range(64) for _ in range(each)]
    engine = Engine(128, 8)
    asyncio.run(engine.run(mixed, 250 * seconds))
    p95 = [quantiles(waits, n=20)[-1] for waits in engine.waits_s.values()]
    assert max(p95) <= 3 * median(p95)
    assert max(p95) <= 64 / 8 * (QUANTUM_S + 3 * seconds)


def test_a_style_that_nobody_waits_for_keeps_its_slot():
    engine = Engine(64, 2)
    asyncio.run(engine.run([Client(A, style, 0.5) for style in "aabb"], 30))
    assert max(wait_s for waits in engine.waits_s.values() for wait_s in waits) == 0
