"""Which place a request gets, and which engines are left alone."""

import json

import pytest

from inference import routing as module
from inference.errors import AdapterAbsent, EngineUnavailable
from inference.routing import FAILURES_MAX, Routing, read_route
from inference.turns import Turn
from tests.inference.conftest import about, place


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def routing() -> Routing:
    return Routing(processes=1)


def route_of(*engines: str, lora: str = "v_1", **more: object):
    places = [place(name, f"http://{name}", lora=lora, **more) for name in engines]
    return read_route(json.dumps(about("poetry") | {"base_model": "SmolLM2", "places": places}))


def used(routing, engine, *loras):
    for lora in loras:
        at = route_of(engine, lora=lora).places[0]
        routing.backend(at).answered(at.adapter)


async def filled(routing, engine, number):
    turns = routing.backend(route_of(engine).places[0]).turns
    for tenant in range(number):
        await turns.take(Turn(tenant, "", 1, 1))


def best(routing, *engines, **more):
    found = routing.best(route_of(*engines), **more)
    return found and found[0].engine


def test_without_any_knowledge_the_first_is_best_as_healthy_engines_come_first(routing):
    assert best(routing, "a", "b") == "a"


def test_an_engine_that_used_the_style_lately_is_better_than_one_that_must_read_it(routing):
    used(routing, "b", "v_1")
    assert best(routing, "a", "b") == "b"


async def test_of_two_that_have_the_style_the_one_with_less_in_flight_is_better(routing):
    used(routing, "a", "v_1")
    used(routing, "b", "v_1")
    await filled(routing, "a", 3)
    assert best(routing, "a", "b") == "b"


async def test_a_full_engine_is_no_better_for_having_the_style(routing):
    used(routing, "a", "v_1")
    await filled(routing, "a", 16)
    assert best(routing, "a", "b") == "b"
    await filled(routing, "b", 16)
    assert best(routing, "a", "b") == "a"


def test_what_was_used_last_is_in_a_slot_then_in_memory_then_on_disk(routing):
    at = route_of("a").places[0]
    backend = routing.backend(at)
    assert backend.state("v_1") == "disk"
    used(routing, "a", "v_1")
    assert backend.state("v_1") == "warm"
    used(routing, "a", *(f"v_{n}" for n in range(2, 10)))
    assert backend.state("v_1") == "cpu"
    used(routing, "a", *(f"v_{n}" for n in range(10, 66)))
    assert backend.state("v_1") == "disk"


def test_the_bare_base_model_is_always_at_hand(routing):
    at = route_of("a", lora="SmolLM2").places[0]
    assert (at.adapter, routing.backend(at).state(at.adapter)) == ("", "warm")


def test_failures_in_a_row_open_the_circuit_and_one_at_a_time_tries_again(routing, clock):
    at = route_of("a").places[0]
    backend = routing.backend(at)
    used(routing, "a", "v_1")
    for _ in range(FAILURES_MAX):
        assert best(routing, "a", "b") == "a"
        backend.failed("v_1", EngineUnavailable())
    assert best(routing, "a", "b") == "b"
    assert not backend.lets_through("v_1")
    assert backend.state("v_1") == "disk"  # it restarts, and will have forgotten
    clock.now_s += module.OPEN_FOR_S
    assert [backend.lets_through("v_1") for _ in range(3)] == [True, False, False]
    backend.failed("v_1", EngineUnavailable())
    assert best(routing, "a") is None
    clock.now_s += module.OPEN_FOR_S
    assert backend.lets_through("v_1")
    used(routing, "a", "v_1")
    assert all(backend.lets_through("v_1") for _ in range(3))


def test_failures_between_answers_open_nothing(routing):
    at = route_of("a").places[0]
    for _ in range(5 * FAILURES_MAX):
        routing.backend(at).failed("v_1", EngineUnavailable())
        used(routing, "a", "v_2")
    assert best(routing, "a") == "a"


def test_a_style_that_an_engine_does_not_know_closes_it_to_no_other(routing, clock):
    at = route_of("a").places[0]
    for _ in range(2 * FAILURES_MAX):
        routing.backend(at).failed("v_1", AdapterAbsent())
    assert best(routing, "a") is None
    assert routing.best(route_of("a", lora="v_2"))
    clock.now_s += module.ABSENT_FOR_S
    assert best(routing, "a") == "a"


def test_what_failed_for_a_request_is_not_asked_again(routing):
    assert best(routing, "a", "b", without={"a"}) == "b"
    assert best(routing, "a", "b", without={"a", "b"}) is None


def test_processes_share_an_engines_places_and_slots():
    at = route_of("a", max_num_seqs=16, max_loras=8).places[0]
    turns = Routing(processes=4).backend(at).turns
    assert (turns.capacity, turns.slots) == (4, 2)


def test_a_route_on_its_way_has_no_place():
    route = read_route(json.dumps(about("poetry", "v1") | {"state": "loading"}))
    assert (route.places, route.version_id) == ((), "v1")
