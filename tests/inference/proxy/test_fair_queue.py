import asyncio
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import EngineBusy
from inference.proxy.fair_queue import FairQueue
from inference.proxy.settings import ProxySettings
from inference.proxy.turn_order import QUANTUM_S, RESERVE, Ticket
from tests.profiles import examples

A, B, C, D = "abcd"


class Engine:
    """The requests at one engine; they end when the test says so, the oldest first."""

    def __init__(self, capacity: int, slots: int = 1000, **settings: float) -> None:
        self.now_s = 0.0
        proxy_settings = ProxySettings(**{"entrants_max": 0} | settings)
        self.queue = FairQueue(capacity, slots=slots, settings=proxy_settings, clock=lambda: self.now_s)
        self.running: list[Ticket] = []
        self.begun: list[Ticket] = []
        self.tasks: dict[Ticket, asyncio.Task] = {}

    def ask(
        self, tenant: str, *, style: str = "poetry", weight: int = 1, cost: int = 10, sequences: int = 1
    ) -> Ticket:
        ticket = Ticket(tenant, style, weight, cost, sequences)
        self.tasks[ticket] = asyncio.create_task(self._take(ticket))
        return ticket

    async def _take(self, ticket: Ticket) -> None:
        await self.queue.acquire(ticket)
        self.running.append(ticket)
        self.begun.append(ticket)

    async def settle_down(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    async def end(self, ticket: Ticket | None = None) -> Ticket:
        ticket = ticket or self.running[0]
        self.running.remove(ticket)
        self.queue.release(ticket)
        await self.settle_down()
        return ticket

    def waiting(self) -> list[Ticket]:
        return [ticket for ticket, task in self.tasks.items() if not task.done()]

    async def aclose(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


@pytest.fixture
async def engine(request):
    engine = Engine(8, **getattr(request, "param", {}))
    yield engine
    await engine.aclose()


def with_settings(**settings):
    """Parametrize `engine` with other settings."""
    return pytest.mark.parametrize("engine", [settings], indirect=True)


async def flood(engine, tenant, number, **more):
    parsed = [engine.ask(tenant, **more) for _ in range(number)]
    await engine.settle_down()
    return parsed


async def served(engine, ends, *, again=""):
    """Tokens begun by tenant and style while so many requests end; `again`: the style that is asked anew."""
    begun = len(engine.begun)
    for _ in range(ends):
        ended = await engine.end()
        if ended.style == again:
            engine.ask(ended.tenant, style=ended.style, weight=ended.weight, cost=ended.cost)
            await engine.settle_down()
    tokens: Counter = Counter()
    for ticket in engine.begun[begun:]:
        tokens[ticket.tenant] += ticket.cost
        tokens[ticket.style] += ticket.cost
    return tokens


async def test_a_flood_leaves_the_reserve_to_others_who_begin_at_once(engine):
    await flood(engine, A, 500)
    assert len(engine.running) == 6
    for tenant in (B, C):
        await flood(engine, tenant, 1)
    assert Counter(t.tenant for t in engine.running) == {A: 6, B: 1, C: 1}


@pytest.mark.parametrize("cost", [1, 10, 1000])
@pytest.mark.parametrize("who", ["oldest", "newest"])
async def test_a_newcomer_waits_for_one_end_at_most_when_two_floods_fill_the_engine(engine, cost, who):
    await flood(engine, A, 100, cost=10)
    await flood(engine, B, 100, cost=cost)
    for ends in range(40):
        newcomer = str(100 + ends)
        engine.ask(newcomer)
        await engine.settle_down()
        await engine.end(engine.running[0 if who == "oldest" else -1])
        assert [t.tenant for t in engine.running].count(newcomer) == 1, f"after {ends} ends"
        await engine.end(next(t for t in engine.running if t.tenant == newcomer))


async def test_a_third_flood_does_not_starve_who_filled_the_reserve(engine):
    await flood(engine, A, 500, cost=10)
    await flood(engine, B, 300, cost=100)
    await served(engine, 200)
    await flood(engine, C, 500, cost=10)
    assert (await served(engine, 200))[B]


async def test_under_saturation_shares_follow_the_weights(engine):
    for tenant, weight in ((A, 4), (B, 1), (C, 1), (D, 2)):
        await flood(engine, tenant, 400, weight=weight)
    tokens = await served(engine, 400)
    for tenant, weight in ((A, 4), (B, 1), (C, 1), (D, 2)):
        assert tokens[tenant] == pytest.approx(4000 * weight / 8, rel=0.1)


async def test_shares_are_of_tokens_not_of_requests(engine):
    await flood(engine, A, 400, cost=100)
    await flood(engine, B, 400, cost=10)
    await flood(engine, C, 400, cost=10)
    tokens = await served(engine, 420)
    assert tokens[A] == pytest.approx(tokens[B], rel=0.2)
    assert tokens[B] == pytest.approx(tokens[C], rel=0.1)


async def test_styles_of_one_tenant_share_what_it_gets(engine):
    await flood(engine, A, 300, style="loud", cost=10)
    await flood(engine, A, 30, style="quiet", cost=10)
    tokens = await served(engine, 50)
    assert tokens["loud"] == pytest.approx(tokens["quiet"], rel=0.2)


async def test_a_style_that_asks_one_by_one_gets_no_more_than_its_share(engine):
    await flood(engine, A, 500, style="many", cost=10)
    await flood(engine, A, 1, style="large", cost=1000)
    tokens = await served(engine, 200, again="large")
    assert tokens["large"] <= tokens["many"] + 2000


async def test_who_was_away_has_no_credit(engine):
    await flood(engine, A, 1)
    await engine.end()
    await flood(engine, B, 300)
    await flood(engine, C, 300)
    await served(engine, 100)
    await flood(engine, A, 300)
    tokens = await served(engine, 90)
    assert tokens[A] == pytest.approx(300, abs=60)


async def test_one_long_request_earns_no_credit_for_those_that_follow(engine):
    [long_one] = await flood(engine, A, 1)
    await flood(engine, B, 300)
    await flood(engine, C, 300)
    for _ in range(100):
        await engine.end(next(t for t in engine.running if t is not long_one))
    await flood(engine, A, 300)
    tokens = await served(engine, 90)
    assert tokens[A] == pytest.approx(300, abs=80)


async def test_who_had_more_than_a_share_pays_it_back_only_while_others_wait(engine):
    await flood(engine, A, 200, cost=10)
    for _ in range(200):
        await engine.end()
    await flood(engine, B, 100)
    await flood(engine, C, 100)
    await flood(engine, A, 100)
    tokens = await served(engine, 90)
    assert tokens[A] == pytest.approx(300, abs=60)


@pytest.mark.parametrize("capacity", range(1, 18))
async def test_a_share_of_the_places_is_kept_from_each_tenant(capacity):
    engine = Engine(capacity)
    await flood(engine, A, 40)
    assert len(engine.running) == capacity - int(capacity * RESERVE) >= 1
    await flood(engine, B, 40)
    assert len(engine.running) == capacity
    await engine.aclose()


@with_settings(queue_max=8, queue_max_per_tenant=5)
async def test_the_queue_is_bounded_for_one_and_for_all(engine):
    await flood(engine, A, 6 + 5)
    [refused] = await flood(engine, A, 1)
    with pytest.raises(EngineBusy):
        await engine.tasks[refused]
    await flood(engine, B, 2 + 3)
    assert engine.queue.waiting == 8
    [refused] = await flood(engine, C, 1)
    with pytest.raises(EngineBusy):
        await engine.tasks[refused]
    await engine.end()
    assert engine.queue.waiting == 7
    assert len(engine.running) == 8


@with_settings(queue_wait_s=0.02)
async def test_who_waits_too_long_is_told_and_leaves_no_place_taken(engine):
    *_, last = await flood(engine, A, 7)
    with pytest.raises(EngineBusy) as refused:
        await engine.tasks[last]
    assert refused.value.facts["retry_s"]
    assert (engine.queue.waiting, engine.queue.running) == (0, 6)


async def test_a_turn_that_is_left_twice_or_was_never_taken_gives_no_place_away(engine):
    [ticket] = await flood(engine, A, 1)
    for one in (ticket, ticket, Ticket(A, "poetry", 1, 1)):
        engine.queue.release(one)
    assert engine.queue.running == 0


async def test_an_engine_that_may_work_on_less_ends_what_it_has_and_on_more_begins_at_once(engine):
    await flood(engine, A, 6)
    await flood(engine, B, 4)
    engine.queue.resize(4, slots=1000)
    for _ in range(4):
        await engine.end()
        assert len(engine.begun) == 8
    await engine.end()
    assert (len(engine.begun), len(engine.running)) == (9, 4)
    engine.queue.resize(8, slots=1000)
    await engine.settle_down()
    assert not engine.waiting()


async def test_where_slots_become_fewer_those_beyond_leave_and_who_waits_gets_one():
    engine = Engine(100, slots=3)
    for style in ("one", "two", "three"):
        await flood(engine, A, 2, style=style)
    engine.queue.resize(100, slots=1)
    engine.now_s += QUANTUM_S
    [newcomer] = await flood(engine, B, 1, style="four")
    for style in ("one", "two", "three"):
        await flood(engine, A, 1, style=style)  # would keep its slot for ever
    for _ in range(6):
        assert newcomer in engine.waiting()
        await engine.end()
    assert [ticket.style for ticket in engine.running] == ["four"]
    await engine.aclose()


@pytest.mark.parametrize("gives_up_first", [False, True])
async def test_a_place_that_comes_in_the_moment_of_giving_up_goes_to_the_next(engine, gives_up_first):
    *_, second, third = await flood(engine, A, 8)
    if gives_up_first:
        engine.tasks[second].cancel()  # it does not know yet when the place comes
    engine.queue.release(engine.running.pop())  # lets the second in, which has not been told yet
    engine.tasks[second].cancel()
    await engine.settle_down()
    assert third in engine.running
    assert (engine.queue.running, engine.queue.waiting) == (6, 0)


async def test_who_gives_up_waiting_for_a_slot_lets_those_go_on_that_had_to_leave_it():
    engine = Engine(8, slots=1)
    await flood(engine, A, 1, style="ours")
    engine.now_s += QUANTUM_S
    [theirs] = await flood(engine, B, 1, style="theirs")
    [next_one] = await flood(engine, A, 1, style="ours")
    assert engine.waiting() == [theirs, next_one]
    engine.tasks[theirs].cancel()
    await engine.settle_down()
    assert next_one in engine.running


async def test_a_request_takes_as_many_places_as_it_has_sequences(engine):
    [wide] = await flood(engine, A, 1, sequences=5)
    await flood(engine, A, 3)
    assert (engine.queue.running, len(engine.running)) == (6, 2)
    await engine.end(wide)
    assert (engine.queue.running, engine.queue.waiting) == (3, 0)


@pytest.mark.parametrize("sequences", [6, 16, 256])
async def test_one_that_is_wider_than_the_engine_takes_what_a_tenant_may_have_and_the_reserve_stays(
    engine, sequences
):
    [wide] = await flood(engine, A, 1, sequences=sequences)
    assert (wide.places, engine.queue.running) == (6, 6)
    [newcomer] = await flood(engine, B, 1)
    assert newcomer in engine.running


async def test_a_wide_request_is_not_overtaken_for_ever_and_newcomers_still_begin_at_once(engine):
    for tenant in (A, B):
        await flood(engine, tenant, 4)
    [wide] = await flood(engine, C, 1, sequences=6)
    before = list(engine.running)
    for tenant in (A, B):
        await flood(engine, tenant, 50)
    for ticket in before:
        assert wide in engine.waiting()
        await engine.end(ticket)
    assert wide in engine.running
    assert engine.queue.running == 8


async def test_while_a_wide_request_waits_for_places_a_newcomer_begins_at_once(engine):
    long_ones = await flood(engine, A, 3)
    [wide] = await flood(engine, B, 1, sequences=6)
    [newcomer] = await flood(engine, C, 1)
    assert (wide in engine.waiting(), newcomer in engine.running) == (True, True)
    await flood(engine, D, 5)  # beyond the reserve they would keep it waiting
    assert engine.queue.running == 5
    for ticket in long_ones:
        await engine.end(ticket)
    assert wide in engine.running


async def test_a_wide_request_that_gives_up_lets_others_have_what_was_kept_for_it(engine):
    await flood(engine, A, 3)
    [wide] = await flood(engine, B, 1, sequences=6)
    await flood(engine, C, 5)
    assert engine.queue.running == 5
    engine.tasks[wide].cancel()
    await engine.settle_down()
    assert engine.queue.running == 8


async def test_a_tenants_narrow_requests_do_not_keep_its_own_wide_one_waiting(engine):
    await flood(engine, A, 30, style="narrow")
    [wide] = await flood(engine, A, 1, style="wide", sequences=6)
    await flood(engine, A, 30, style="narrow")
    for _ in range(6 + 1):  # those at work, and one more: both styles had as little
        assert wide in engine.waiting()
        await engine.end()
    assert engine.running == [wide]


async def test_shares_count_every_sequence(engine):
    for _ in range(60):
        engine.ask(A, cost=4 * 10, sequences=4)
    await flood(engine, B, 400, cost=10)
    tokens = await served(engine, 150)
    assert tokens[A] == pytest.approx(tokens[B], rel=0.2)


async def test_many_tenants_are_not_remembered_for_ever():
    engine = Engine(4, idle_tenants_max=50)
    for number in range(300):
        await flood(engine, str(number), 1)
        await engine.end()
    assert len(engine.queue._shares) <= 52


@with_settings(entrants_max=16)
async def test_who_runs_nothing_begins_at_once_whatever_eight_others_run(engine):
    others = [str(number) for number in range(8)]
    for tenant in others:
        await flood(engine, tenant, 40, sequences=4)
    running = Counter(ticket.tenant for ticket in engine.running)
    assert running.keys() == set(others)
    [newcomer] = await flood(engine, "newcomer", 1)
    assert newcomer in engine.running
    [second] = await flood(engine, "newcomer", 1)
    assert second in engine.waiting()  # only the first is let in beyond the places
    await engine.end(newcomer)
    assert second in engine.running  # now it is the first


async def test_who_runs_nothing_begins_at_once_whatever_styles_have_the_slots():
    engine = Engine(8, slots=2, entrants_max=16)
    for tenant in (A, B):
        await flood(engine, tenant, 2, style=f"style of {tenant}")
    [newcomer] = await flood(engine, C, 1, style="another")
    assert newcomer in engine.running
    await engine.end(newcomer)
    assert engine.queue._slots.taken.keys() == {"style of a", "style of b"}
    await engine.aclose()


@with_settings(entrants_max=2)
async def test_those_who_begin_beyond_the_places_are_few_and_the_others_wait_for_their_turn(engine):
    for tenant in (A, B):
        await flood(engine, tenant, 20)
    begun = [(await flood(engine, tenant, 1))[0] for tenant in ("one", "two", "three")]
    assert [ticket in engine.running for ticket in begun] == [True, True, False]
    await engine.end(begun[0])
    assert begun[2] in engine.running
    assert engine.queue._entrants == 2


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 3), st.integers(0, 3), st.integers(1, 300)),
        st.tuples(st.just("ask"), st.just(0), st.just(0), st.just(7)),
        st.tuples(st.sampled_from(["end", "cancel", "cancel_and_end", "end_and_cancel"]), st.integers(0, 50)),
        st.tuples(st.just("tick")),
    ),
    max_size=120,
)


@given(capacity=st.integers(1, 9), slots=st.sampled_from([1, 2, 9]), steps=steps)
@settings(max_examples=examples(300))
def test_no_place_is_lost_or_given_twice_or_left_free_whatever_happens(capacity, slots, steps):
    asyncio.run(_play(capacity, slots, steps))


wide_steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("ask"), st.integers(0, 3), st.integers(0, 2), st.sampled_from([1, 1, 2, 5, 16, 256])
        ),
        st.tuples(st.just("end"), st.integers(0, 50)),
        st.tuples(st.just("cancel"), st.integers(0, 50)),
        st.tuples(st.just("resize"), st.integers(1, 12)),
        st.tuples(st.just("tick")),
    ),
    max_size=120,
)


@given(capacity=st.integers(1, 12), slots=st.sampled_from([1, 2, 9]), steps=wide_steps)
@settings(max_examples=examples(300))
def test_whoever_waits_runs_something_and_no_entrant_is_lost(capacity, slots, steps):
    asyncio.run(_play_entrants(capacity, slots, steps))


async def _take(engine, slots, name, *args) -> None:
    """Take one of the wide steps."""
    if name == "ask":
        tenant, style, sequences = args
        engine.ask(str(tenant), style=f"s{style}" if style else "", cost=sequences, sequences=sequences)
    elif name == "tick":
        engine.now_s += QUANTUM_S / 2
    elif name == "resize":
        engine.queue.resize(args[0], slots=slots)
    elif name == "cancel" and (waiting := engine.waiting()):
        engine.tasks[waiting[args[0] % len(waiting)]].cancel()
    elif name == "end" and engine.running:
        engine.queue.release(engine.running.pop(args[0] % len(engine.running)))
    await engine.settle_down()


async def _end_all(engine, check=lambda: None) -> None:
    while engine.running:
        await engine.end()
        check()
    assert not engine.waiting()
    assert (engine.queue.running, engine.queue.waiting) == (0, 0)


async def _play_entrants(capacity, slots, steps):
    engine = Engine(capacity, slots, entrants_max=16)
    for step in steps:
        await _take(engine, slots, *step)
        entrants = [ticket for ticket in engine.running if ticket.is_entrant]
        assert engine.queue._entrants == len(entrants)
        assert len({ticket.tenant for ticket in entrants}) == len(entrants)
        assert {ticket.tenant for ticket in engine.waiting()} <= {ticket.tenant for ticket in engine.running}
    await _end_all(engine)
    await engine.aclose()


@given(capacity=st.integers(1, 12), slots=st.sampled_from([1, 2, 9]), steps=wide_steps)
@settings(max_examples=examples(300))
def test_wide_requests_pass_no_limit_and_begin_once_what_was_before_them_has_ended(capacity, slots, steps):
    asyncio.run(_play_wide(capacity, slots, steps))


async def _play_wide(capacity, slots, steps):
    engine, behind = Engine(capacity, slots), {}
    for step in steps:
        await _take(engine, slots, *step)
        if step[0] == "resize":
            behind.clear()
        _check_wide(engine, behind)
    await _end_all(engine, partial(_check_wide, engine, behind))
    await engine.aclose()


def _check_wide(engine, behind):
    """`behind`: for whom places are held, and who was at work when that began."""
    queue = engine.queue
    assert queue.running == sum(ticket.places for ticket in engine.running)
    assert queue.waiting == len(engine.waiting())
    assert queue._slots.taken.keys() == {ticket.style for ticket in engine.running if ticket.style}
    assert engine.running or not engine.waiting()
    if queue._held and queue._held.ticket not in behind:
        behind.clear()
        behind[queue._held.ticket] = set(engine.running)
    if queue._held:
        [(wide, before)] = behind.items()
        assert before & set(engine.running), "all that was before it has ended"
        assert wide in engine.waiting()
    elif not behind:
        return
    else:
        behind.clear()


async def _play(capacity, slots, steps):
    engine, numbers = Engine(capacity, slots), count()
    most = capacity - int(capacity * RESERVE)
    for name, *args in steps:
        if name == "ask":
            tenant, style, cost = args
            engine.ask(str(tenant), style=f"s{style}", weight=1 + tenant, cost=cost)
        elif name == "tick":
            engine.now_s += QUANTUM_S / 2
            await asyncio.sleep(0)
        else:
            waiting = engine.waiting()
            ends = [engine.running.pop(args[0] % len(engine.running))] if engine.running else []
            cancels = [waiting[args[0] % len(waiting)]] if waiting else []
            tickets = {"end": ends, "cancel": cancels}
            if name == "cancel":
                engine.running += ends
            for action in name.split("_and_"):
                for ticket in tickets[action]:
                    engine.queue.release(ticket) if action == "end" else engine.tasks[ticket].cancel()
        assert engine.queue.running <= capacity
        if next(numbers) % 4 == 0:
            await engine.settle_down()
            _check(engine, capacity, most)
    await engine.settle_down()
    _check(engine, capacity, most)
    await _end_all(engine, partial(_check, engine, capacity, most))
    for task in engine.tasks.values():
        with suppress(asyncio.CancelledError):
            task.result()


def _check(engine, capacity, most):
    working, styles = Counter(t.tenant for t in engine.running), {t.style for t in engine.running}
    assert engine.queue.running == len(engine.running) <= capacity
    assert engine.queue.waiting == len(engine.waiting())
    assert engine.queue._slots.taken.keys() == styles
    assert len(styles) <= engine.queue.slots
    assert all(number <= most for number in working.values())
    if len(engine.running) < capacity:  # a free place is one that nobody who waits may have
        waiting = {ticket.style for ticket in engine.waiting() if working[ticket.tenant] < most}
        entering, leaving = waiting - styles, waiting & styles
        assert not entering or len(styles) == engine.queue.slots
        assert len(leaving) <= len(entering)
