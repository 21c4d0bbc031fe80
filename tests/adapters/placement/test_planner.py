"""The placement policy on any facts, then the planner: the same as rows, with engines."""

from datetime import UTC, datetime, timedelta
from time import process_time
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.models import Engine, Placement, Status
from adapters.placement import planner, reconciler, transitions
from adapters.placement.policy import BUSY_PER_MINUTE, Candidate, EngineCapacity, plan_placements
from adapters.routing import publisher
from adapters.uploads import pipeline
from metering.demand import recent_requests
from metering.ledger import record_events
from tests.adapters.builders import adapter_files, known, published_routes, served, twin_of, uploaded
from tests.adapters.routes import routes_of
from tests.fakes.vllm_control import FakeVllm
from tests.profiles import examples
from tests.tenants.builders import make_event

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
ENGINES = (1, 2, 3)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Candidate], list[EngineCapacity]]:
    """Draw engines, and versions of any standing that are on some of them, more than may be."""
    sizes = draw(st.lists(st.integers(0, 12), min_size=1, max_size=3))
    capacities = [
        EngineCapacity(n, s, draw(st.booleans()), draw(st.booleans()))
        for n, s in zip(ENGINES, sizes, strict=False)
    ]
    names = st.sampled_from([capacity.engine for capacity in capacities])
    candidate = st.builds(
        Candidate,
        version=st.uuids(),
        is_requested=st.booleans(),
        has_alias=st.booleans(),
        used_at=st.integers(0, 5).map(lambda days: BEGAN + timedelta(days=days)),
        per_minute=st.floats(0, 1000),
        fits_on=st.frozensets(names),
        places=st.dictionaries(names, st.booleans()),
    )
    return draw(st.lists(candidate, max_size=25, unique_by=lambda one: one.version)), capacities


def after(
    candidates: list[Candidate], wanted: dict[int, set[UUID]], *, loaded: bool = True
) -> list[Candidate]:
    """Return the same versions once the plan is carried out."""
    return [
        Candidate(
            **vars(one) | {"places": {e: loaded for e, on_it in wanted.items() if one.version in on_it}}
        )
        for one in candidates
    ]


def candidates(count: int, *, on: int = 0, **facts: object) -> list[Candidate]:
    defaults = {
        "is_requested": False,
        "has_alias": True,
        "used_at": BEGAN,
        "per_minute": 0.0,
        "fits_on": frozenset(ENGINES),
        "places": {on: True} if on else {},
    }
    return [Candidate(version=uuid4(), **{**defaults, **facts}) for _ in range(count)]


def settled(them: list[Candidate], capacities: list[EngineCapacity], *, rounds: int = 40) -> list[Candidate]:
    """Return the versions when planning again changes nothing more."""
    for _ in range(rounds):
        wanted = plan_placements(them, capacities)
        moved = after(them, wanted)
        if [one.places for one in moved] == [one.places for one in them]:
            return them
        them = moved
    raise AssertionError(f"still moving after {rounds} plans")


@given(worlds())
def test_an_engine_never_holds_more_than_it_takes_nor_what_does_not_fit(world):
    them, capacities = world
    wanted = plan_placements(them, capacities)
    for capacity in (capacity for capacity in capacities if capacity.is_open):
        assert len(wanted[capacity.engine]) <= capacity.size
        assert all(capacity.engine in one.fits_on for one in them if one.version in wanted[capacity.engine])


@given(worlds())
def test_a_version_is_placed_while_there_is_room_and_only_higher_priority_takes_its_place(world):
    them, capacities = world
    wanted = plan_placements(them, capacities)
    open_ = [capacity for capacity in capacities if capacity.is_open]
    placed = set().union(*(wanted[capacity.engine] for capacity in open_))
    for one in (one for one in them if one.version not in placed):
        for capacity in (capacity for capacity in open_ if capacity.engine in one.fits_on):
            others = [other for other in them if other.version in wanted[capacity.engine]]
            assert len(others) == capacity.size
            assert all(other.priority > one.priority for other in others)


@settings(max_examples=examples(300))
@given(worlds())
def test_once_carried_out_a_plan_converges(world):
    them, capacities = world
    settled(
        them, [EngineCapacity(capacity.engine, capacity.size, capacity.is_open) for capacity in capacities]
    )


@given(worlds())
def test_a_version_that_answers_keeps_answering_while_there_is_room(world):
    them, capacities = world
    roomy = [
        EngineCapacity(capacity.engine, 100, capacity.is_open, capacity.is_healthy) for capacity in capacities
    ]
    wanted = plan_placements(them, roomy)
    for one in them:
        kept = [e for e, answers in one.places.items() if answers and one.version in wanted[e]]
        held = [
            e for e, answers in one.places.items() if answers and (e in one.fits_on or not is_open(roomy, e))
        ]
        assert kept or not held


def is_open(capacities: list[EngineCapacity], engine: int) -> bool:
    return next(capacity.is_open for capacity in capacities if capacity.engine == engine)


def test_styles_are_spread_evenly_and_a_new_engine_gets_its_share():
    two = [EngineCapacity(1, 1000), EngineCapacity(2, 1000)]
    them = settled(candidates(100), two)
    counts = [sum(e in one.places for one in them) for e in (1, 2)]
    assert counts == [50, 50]
    them = settled(them, [*two, EngineCapacity(3, 1000)])
    counts = [sum(e in one.places for one in them) for e in ENGINES]
    assert sum(counts) == 100  # one place each: whoever moved has left
    assert min(counts) >= 27


def test_a_busy_style_is_on_several_engines_and_leaves_them_only_when_it_is_clearly_less_busy():
    capacities = [EngineCapacity(name, 100) for name in ENGINES]
    quiet = candidates(20, per_minute=BUSY_PER_MINUTE / 2)
    [busy] = candidates(1, per_minute=BUSY_PER_MINUTE * 20)  # two thirds of all: two of three engines
    *_, busy = settled([*quiet, busy], capacities)
    assert len(busy.places) == 2
    less_than_a_share = {"per_minute": BUSY_PER_MINUTE * 4}
    cooler = Candidate(**vars(busy) | less_than_a_share)
    *_, cooler = settled([*quiet, cooler], capacities)
    assert len(cooler.places) == 2
    idle = Candidate(**vars(busy) | {"per_minute": 1.0})
    *_, idle = settled([*quiet, idle], capacities)
    assert len(idle.places) == 1


def test_versions_leave_a_draining_engine_once_others_answer():
    them = candidates(10, on=1)
    capacities = [EngineCapacity(1, 100, is_open=False), EngineCapacity(2, 100)]
    wanted = plan_placements(them, capacities)
    assert wanted[1] == wanted[2] == {one.version for one in them}
    on_their_way = [Candidate(**vars(one) | {"places": {1: True, 2: False}}) for one in them]
    assert plan_placements(on_their_way, capacities) == wanted
    assert plan_placements(after(them, wanted), capacities)[1] == set()
    assert plan_placements(them, capacities[:1])[1] == {one.version for one in them}  # nowhere else to go


def test_a_requested_version_replaces_the_one_that_was_used_longest_ago():
    old = candidates(3, on=1)
    new = candidates(2, on=1, used_at=BEGAN + timedelta(hours=1))
    unloaded = candidates(4, used_at=BEGAN + timedelta(days=1))
    capacity = [EngineCapacity(1, 5)]
    assert plan_placements([*old, *new, *unloaded], capacity)[1] == {one.version for one in (*old, *new)}
    [requested] = candidates(1, is_requested=True)
    wanted = plan_placements([*old, *new, *unloaded, requested], capacity)[1]
    assert wanted > {requested.version, *(one.version for one in new)}
    assert len(wanted) == 5


def test_a_version_requested_while_its_engine_is_down_goes_to_another_one():
    [requested] = candidates(1, is_requested=True, places={1: False})
    wanted = plan_placements([requested], [EngineCapacity(1, 9, is_healthy=False), EngineCapacity(2, 9)])
    assert wanted == {1: {requested.version}, 2: {requested.version}}
    back = Candidate(**vars(requested) | {"is_requested": False, "places": {1: True, 2: True}})
    assert [
        len(on_it) for on_it in plan_placements([back], [EngineCapacity(1, 9), EngineCapacity(2, 9)]).values()
    ] == [1, 0]


def test_two_thousand_styles_on_three_engines_are_planned_in_half_a_second():
    them = settled(candidates(2000), [EngineCapacity(name, 10_000) for name in ENGINES])
    began_s = process_time()  # not the wall clock: others may use the machine
    plan_placements(them, [EngineCapacity(name, 10_000) for name in ENGINES])
    assert process_time() - began_s < 0.5


@pytest.fixture
def second(engine: Engine) -> Engine:
    """Another engine of the same base model, healthy, at an address of its own."""
    other = FakeVllm(api_key="engine-key")
    yield twin_of(engine, "second", url=other.url, is_healthy=True, checked_at=timezone.now())
    other.stop()


db = pytest.mark.django_db(transaction=True)


@db
def test_a_plan_without_changes_writes_nothing_and_asks_few_questions(
    acme, engine, second, django_assert_max_num_queries
):
    for number in range(12):
        known(acme, f"style-{number}", engine)
    Engine.objects.update(is_healthy=True, checked_at=timezone.now())
    assert planner.plan_all() == [second]  # it is empty
    Placement.objects.filter(loaded_at=None).update(loaded_at=timezone.now())
    while planner.plan_all():
        Placement.objects.filter(loaded_at=None, is_desired=True).update(loaded_at=timezone.now())
    with django_assert_max_num_queries(9):
        assert planner.plan_all() == []


@db
def test_a_version_that_a_request_waits_for_is_wanted_at_once_or_with_the_next_plan(acme, engine, vllm):
    Engine.objects.update(is_healthy=True, checked_at=timezone.now(), max_adapters=1)
    older = known(acme, "older", engine)
    newer = known(acme, "newer", engine)
    planner.plan_all()
    assert {p.version for p in Placement.objects.filter(is_desired=True)} == {newer}
    planner.request_version(str(older.pk))
    planner.plan_all()
    assert {p.version for p in Placement.objects.filter(is_desired=True)} == {older}
    Engine.objects.update(max_adapters=2)
    planner.request_version(str(newer.pk))
    assert Placement.objects.filter(is_desired=True).count() == 2
    planner.request_version(str(uuid4()))  # of a version that nobody knows, or that is retired meanwhile


@db
def test_a_version_that_was_let_go_and_is_still_loaded_answers_as_soon_as_it_is_wanted_again(
    acme, engine, vllm, valkey
):
    version = served(acme, "noir", engine, adapter_files())
    publisher.publish_library(acme.pk)
    Engine.objects.update(max_adapters=0)
    planner.plan_all()
    assert version.placements.get().loaded_at
    assert not published_routes(valkey, acme)["noir"].get("places")
    Engine.objects.update(max_adapters=1)
    planner.request_version(str(version.pk))
    places = published_routes(valkey, acme)["noir"].get("places", [])
    assert [place["engine"] for place in places] == ["local"]


@db
def test_a_refused_version_is_not_wanted_there_again_until_it_is_pushed_again(acme, engine, second, vllm):
    vllm.refuses_with = "bad shape"
    version = uploaded(acme)
    Engine.objects.filter(name="second").update(is_draining=True)
    pipeline.advance_version(version)
    reconciler.reconcile(Engine.objects.get(name="local"))
    planner.plan_all()
    assert version.placements.get().is_desired is False
    vllm.refuses_with = ""
    transitions.retry_version(version)
    pipeline.advance_version(version)
    reconciler.reconcile(Engine.objects.get(name="local"))
    version.refresh_from_db()
    assert version.status == Status.SERVING


@db
def test_a_draining_engine_hands_over_and_is_unloaded_after_a_while(acme, engine, second, vllm, monkeypatch):
    Engine.objects.filter(name="second").update(is_draining=True)
    version = served(acme, "noir", engine, adapter_files())
    Engine.objects.filter(name="local").update(is_draining=True)
    Engine.objects.filter(name="second").update(is_draining=False)
    assert planner.plan_all() == [second]
    reconciler.reconcile(Engine.objects.get(name="second"))
    planner.plan_all()
    assert [p.engine.name for p in version.placements.filter(is_desired=True)] == ["second"]
    [place] = routes_of(acme.pk)["noir"]["places"]
    assert place["engine"] == "second"
    reconciler.reconcile(Engine.objects.get(name="local"))
    assert version.engine_name in vllm.loaded  # requests may still be on their way
    monkeypatch.setattr(reconciler, "DRAIN_GRACE", timedelta(0))
    reconciler.reconcile(Engine.objects.get(name="local"))
    assert vllm.loaded == {}


@db
def test_an_engine_whose_worker_is_silent_is_marked_down_and_another_one_serves(acme, engine, second, vllm):
    Engine.objects.filter(name="second").update(is_draining=True)
    version = served(acme, "noir", engine, adapter_files())
    Engine.objects.update(is_draining=False)
    planner.plan_all()
    assert Engine.objects.get(name="local").is_healthy

    gone_at = timezone.now() - timedelta(seconds=31)
    Engine.objects.filter(name="local").update(checked_at=gone_at)
    planner.plan_all()
    dead = Engine.objects.get(name="local")
    assert (dead.is_healthy, dead.note) == (False, planner.EngineNote.SILENT())
    planner.request_version(str(version.pk))
    reconciler.reconcile(Engine.objects.get(name="second"))
    assert {place["engine"] for place in routes_of(acme.pk)["noir"]["places"]} >= {"second"}

    reconciler.reconcile(dead)  # it is back
    assert Engine.objects.get(name="local").is_healthy


@db
def test_a_request_gets_its_version_in_time_although_another_was_requested_lately(acme, engine, vllm):
    before, requested = [served(acme, name, engine, adapter_files()) for name in ("noir", "haiku")]
    Engine.objects.update(max_adapters=1)
    Placement.objects.filter(version=requested).update(is_desired=False)
    lately = timezone.now() - timedelta(seconds=25)
    Placement.objects.filter(version=before).update(is_desired=True, requested_at=lately)
    planner.request_version(str(requested.pk))
    planner.plan_all()
    assert [place.version for place in Placement.objects.filter(is_desired=True)] == [requested]


@db
def test_demand_is_read_from_the_newest_events_of_each_style(acme, engine):
    version = known(acme, "noir", engine)
    now = timezone.now()
    times = [now - timedelta(seconds=second) for second in range(10)] + [now - timedelta(hours=3)]
    facts = {"style": version.style_id, "version_number": 1}
    record_events(make_event(acme, admitted_at=at, **facts) for at in times)
    found = recent_requests([version.style_id, uuid4()])
    assert set(found) == {(version.style_id, 1)}
    assert found[version.style_id, 1].last_at == now
    assert found[version.style_id, 1].per_minute == pytest.approx(2.0)
