"""Which place a request gets, and which engines are left alone."""

import pytest

from inference.errors import AdapterAbsent, EngineUnavailable
from inference.proxy import backends as module
from inference.proxy.backends import MAX_FAILURES, Backends
from inference.proxy.settings import ProxySettings
from inference.proxy.turn_order import Ticket
from tests.inference import builders
from tests.inference.builders import place


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def backends() -> Backends:
    return Backends(processes=1)


def route_of(*engines: str, lora: str = "v_1", **more: object):
    places = [
        place(name.strip("!"), f"http://{name}", lora=lora, healthy="!" not in name, **more)
        for name in engines
    ]
    return builders.route_of("poetry", places=places)


def used(backends, engine, *loras):
    for lora in loras:
        at = route_of(engine, lora=lora).placements[0]
        backends.backend(at).mark_answered(at.adapter)


async def filled(backends, engine, number):
    queue = backends.backend(route_of(engine).placements[0]).queue
    for tenant in range(number):
        await queue.acquire(Ticket(tenant, "", 1, 1))


def best(backends, *engines, **more):
    found = backends.best(route_of(*engines), **more)
    return found and found[0].engine


def test_without_any_knowledge_the_first_is_best(backends):
    assert best(backends, "a", "b") == "a"


async def test_an_engine_that_is_not_healthy_is_only_asked_where_there_is_no_other(backends):
    used(backends, "a", "v_1")
    await filled(backends, "b", 16)
    assert best(backends, "a!", "b") == "b"
    assert best(backends, "a!", "b!") == "a"
    assert best(backends, "a!") == "a"


def test_an_engine_that_used_the_style_lately_is_better_than_one_that_must_read_it(backends):
    used(backends, "b", "v_1")
    assert best(backends, "a", "b") == "b"


async def test_of_two_that_have_the_style_the_one_with_less_in_flight_is_better(backends):
    used(backends, "a", "v_1")
    used(backends, "b", "v_1")
    await filled(backends, "a", 3)
    assert best(backends, "a", "b") == "b"


async def test_a_full_engine_is_no_better_for_having_the_style(backends):
    used(backends, "a", "v_1")
    await filled(backends, "a", 16)
    assert best(backends, "a", "b") == "b"
    await filled(backends, "b", 16)
    assert best(backends, "a", "b") == "a"


def test_what_was_used_last_is_in_a_slot_then_in_memory_then_on_disk(backends):
    at = route_of("a").placements[0]
    backend = backends.backend(at)
    assert backend.tier("v_1") == "disk"
    used(backends, "a", "v_1")
    assert backend.tier("v_1") == "warm"
    used(backends, "a", *(f"v_{n}" for n in range(2, 10)))
    assert backend.tier("v_1") == "cpu"
    used(backends, "a", *(f"v_{n}" for n in range(10, 66)))
    assert backend.tier("v_1") == "disk"


def test_the_bare_base_model_is_always_at_hand(backends):
    at = route_of("a", lora="SmolLM2").placements[0]
    assert (at.adapter, backends.backend(at).tier(at.adapter)) == ("", "warm")


def test_failures_in_a_row_open_the_circuit_and_one_at_a_time_tries_again(backends, clock):
    at = route_of("a").placements[0]
    backend = backends.backend(at)
    used(backends, "a", "v_1")
    for _ in range(MAX_FAILURES):
        assert best(backends, "a", "b") == "a"
        backend.mark_failed("v_1", EngineUnavailable())
    assert best(backends, "a", "b") == "b"
    assert not backend.try_acquire("v_1")
    assert backend.tier("v_1") == "disk"  # it restarts, and will have forgotten
    clock.now_s += ProxySettings().circuit_open_s
    assert [backend.try_acquire("v_1") for _ in range(3)] == [True, False, False]
    backend.mark_failed("v_1", EngineUnavailable())
    assert best(backends, "a") is None
    clock.now_s += ProxySettings().circuit_open_s
    assert backend.try_acquire("v_1")
    used(backends, "a", "v_1")
    assert all(backend.try_acquire("v_1") for _ in range(3))


@pytest.mark.parametrize("answered", ["mark_refused", "mark_working"])
def test_an_engine_that_answers_anything_is_there_again(backends, clock, answered):
    backend = backends.backend(route_of("a").placements[0])
    backend.mark_failed("v_1", AdapterAbsent())
    for _ in range(MAX_FAILURES):
        backend.mark_failed("v_1", EngineUnavailable())
    clock.now_s += ProxySettings().circuit_open_s
    assert [backend.try_acquire("v_2") for _ in range(2)] == [True, False]
    if answered == "mark_refused":
        backend.mark_refused("v_2")
    else:
        backend.mark_working()
    assert all(backend.try_acquire("v_2") for _ in range(3))


def test_failures_between_answers_open_nothing(backends):
    at = route_of("a").placements[0]
    for _ in range(5 * MAX_FAILURES):
        backends.backend(at).mark_failed("v_1", EngineUnavailable())
        used(backends, "a", "v_2")
    assert best(backends, "a") == "a"


def test_a_style_that_an_engine_does_not_know_closes_it_to_no_other(backends, clock):
    at = route_of("a").placements[0]
    for _ in range(2 * MAX_FAILURES):
        backends.backend(at).mark_failed("v_1", AdapterAbsent())
    assert best(backends, "a") is None
    assert backends.best(route_of("a", lora="v_2"))
    clock.now_s += ProxySettings().adapter_absent_s
    assert best(backends, "a") == "a"


def test_what_failed_for_a_request_is_not_asked_again(backends):
    assert best(backends, "a", "b", without={"a"}) == "b"
    assert best(backends, "a", "b", without={"a", "b"}) is None


@pytest.mark.parametrize(
    ("max_loras", "processes", "slots"), [(8, 1, 7), (9, 4, 2), (8, 4, 1), (2, 1, 1), (1, 1, 1), (4, 8, 1)]
)
def test_processes_share_an_engines_places_and_all_slots_but_one(max_loras, processes, slots):
    at = route_of("a", max_num_seqs=16, max_loras=max_loras).placements[0]
    queue = Backends(processes).backend(at).queue
    assert (queue.capacity, queue.slots) == (16 // processes, slots)


@pytest.mark.parametrize(
    ("limits", "is_too_little"),
    [
        ({"max_num_seqs": 4, "max_loras": 5}, False),
        ({"max_num_seqs": 3, "max_loras": 5}, True),
        ({"max_num_seqs": 4, "max_loras": 4}, True),
    ],
)
def test_an_engine_with_fewer_places_or_slots_than_processes_is_warned_of_once(limits, is_too_little, caplog):
    backends, at = Backends(processes=4), route_of("a", **limits).placements[0]
    for _ in range(3):
        backends.backend(at)
    assert ["WEB_WORKERS" in record.message for record in caplog.records] == [True] * is_too_little


async def test_other_limits_change_an_engine_in_place(backends, clock):
    small, large = (route_of("a", max_num_seqs=n, max_loras=n, max_cpu_loras=n).placements[0] for n in (2, 8))
    backend = backends.backend(large)
    used(backends, "a", *(f"v_{n}" for n in range(8)))
    assert backends.backend(small) is backend
    backend.mark_answered("v_8")
    assert [backend.tier(f"v_{n}") for n in (6, 7, 8)] == ["disk", "warm", "warm"]
    assert backends.backend(large) is backend
    await filled(backends, "a", 6)
    for _ in range(MAX_FAILURES):
        backend.mark_failed("v_9", EngineUnavailable())
    assert backends.backend(small) is backend
    assert not backend.can_try("v_9")
    assert (backend.queue.running, backend.queue.capacity, backend.queue.slots) == (6, 2, 1)
    assert backends.backend(large).queue.capacity == 8


def test_a_route_on_its_way_has_no_place():
    route = builders.route_of("poetry", places=[])
    assert (route.placements, route.version_id) == ((), "v1")
