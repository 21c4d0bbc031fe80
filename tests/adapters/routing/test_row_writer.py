"""The rows of versions and engines: in whatever order writers come, the newest stays; readers get all."""

import asyncio
from types import SimpleNamespace

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from adapters.models import Engine, Placement, Style
from adapters.placement import reconciler, transitions
from adapters.routing import publisher
from adapters.routing.publisher import Source, write_rows
from core import valkey as keys
from inference.proxy.route_cache import RouteCache
from inference.wire.valkey_client import ValkeyClient
from tests.adapters.builders import known, published_routes, twin_of
from tests.profiles import examples

SOURCE = "style:one"


def source(name: str, generation: int, rows: dict, gone=(), *tables: str) -> Source:
    """A source with the same fields and rows in some tables."""
    tables = tables or ("version",)
    return Source(
        name,
        generation,
        [(table, *row) for table in tables for row in rows.items()],
        [(table, field) for table in tables for field in gone],
    )


versions = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["0 x", "2048 x", "2048 y"]))


class Writers(RuleBasedStateMachine):
    """Writers that read the rows of one style at some time, and write them at any later one."""

    store: object

    def __init__(self) -> None:
        super().__init__()
        self.store.flushdb()
        self.generation = 1
        self.rows: dict[str, str] = {}
        self.read: list[tuple[Source, dict[str, str]]] = []
        self.newest: tuple[int, dict[str, str]] = (0, {})

    @rule(rows=versions)
    def rows_change(self, rows):
        self.generation += 1
        self.rows = rows

    @rule()
    def a_writer_reads(self):
        gone = set("abcd") - self.rows.keys()
        read = source(SOURCE, self.generation, self.rows, gone, "style", "version")
        self.read.append((read, self.rows))

    @precondition(lambda self: self.read)
    @rule(pick=st.integers(0, 10**6))
    def a_writer_writes(self, pick):
        written, rows = self.read.pop(pick % len(self.read))
        write_rows([written])
        if written.generation >= self.newest[0]:
            self.newest = written.generation, rows

    @invariant()
    def the_newest_stays(self):
        stored = self.store.hgetall(keys.route_versions_key())
        assert stored == self.store.hgetall(keys.route_styles_key()) == self.newest[1]
        changed = self.store.zrange(keys.route_changes_key(), 0, -1)
        assert {f"version {row}" for row in stored} <= set(changed)


def test_writers_in_any_order_leave_the_newest_rows(valkey):
    class Here(Writers):
        store = valkey

    run_state_machine_as_test(Here, settings=settings(max_examples=examples(60), stateful_step_count=25))


def test_what_stays_as_it_was_is_no_change(valkey):
    assert write_rows([source(SOURCE, 1, {"a": "0 x", "b": "0 y"})]) == {}
    assert write_rows([source(SOURCE, 2, {"a": "0 x", "b": "7 y"})]) == {}
    assert write_rows([source(SOURCE, 1, {"a": "9 old"})]) == {SOURCE: 2}
    changes = valkey.zrange(keys.route_changes_key(), 0, -1, withscores=True)
    assert changes == [("version a", 1), ("version b", 2)]


def test_no_more_than_a_thousand_changes_are_kept_the_newest(valkey):
    for number in range(1100):
        row = f"{number}"
        write_rows([source(SOURCE, number, {row: "0 x"}), source(SOURCE, number, {}, [row])])
    changes = valkey.zrange(keys.route_changes_key(), 0, -1, withscores=True)
    assert changes == [(f"version {number}", 2 * number + 2) for number in range(100, 1100)]


def test_tables_that_were_emptied_while_they_were_written_are_not_whole(valkey):
    token = publisher.begin_full_write()
    valkey.flushdb()
    with pytest.raises(Exception, match="no such key"):
        publisher.end_full_write(token)
    assert not publisher.has_all_rows()
    publisher.end_full_write(publisher.begin_full_write())
    assert publisher.has_all_rows()
    assert valkey.ttl(keys.route_incarnation_key()) == -1


@pytest.fixture
def reader(valkey, settings):
    """A cache that nothing keeps up but its test, and what runs its coroutines."""

    async def no_publisher() -> None:
        raise AssertionError("nothing is missing")

    with asyncio.Runner() as runner:
        client = ValkeyClient(settings.VALKEY_URL)
        cache = RouteCache(client, settings.VALKEY_URL, no_publisher, poll_s=1)
        yield SimpleNamespace(cache=cache, run=runner.run)
        runner.run(client.aclose())


MANY = [f"{number}" for number in range(1500)]  # more than the changes that are kept
steps = st.lists(
    st.one_of(
        st.tuples(st.just("version"), st.sampled_from("abc"), st.sampled_from(["0 {}", '9 {"x": 1}', None])),
        st.tuples(st.just("engine"), st.sampled_from("abc"), st.sampled_from(['{"base": ""}', None])),
        st.sampled_from(["read", "flush", "many come", "many go"]),
    ),
    max_size=25,
)


@given(steps=steps)
@settings(max_examples=examples(60))
def test_who_reads_changes_now_and_then_has_the_rows_that_valkey_has(reader, valkey, steps):
    valkey.flushdb()
    publisher.end_full_write(publisher.begin_full_write())
    for number, step in enumerate([*steps, "read"]):
        if step == "read":
            assert reader.run(reader.cache.refresh())
            tables = reader.cache.tables
            assert tables._versions == valkey.hgetall(keys.route_versions_key())
            assert tables._engines.keys() == valkey.hgetall(keys.route_engines_key()).keys()
        elif step == "flush":
            valkey.flushdb()
            assert not reader.run(reader.cache.refresh())  # what it knew stays until all is written again
            publisher.end_full_write(publisher.begin_full_write())
        elif step == "many come":
            write_rows([source("many", number, dict.fromkeys(MANY, f"{number} {{}}"))])
        elif step == "many go":
            write_rows([source("many", number, dict.fromkeys(MANY, "0 {}"))])
            write_rows([source("many", number, {}, MANY)])
        else:
            kind, name, row = step
            rows, gone = ({name: row}, []) if row else ({}, [name])
            write_rows([source(f"{kind}:{name}", number, rows, gone, kind)])


@pytest.mark.django_db(transaction=True)
def test_an_engines_flip_writes_one_row_and_no_workspaces_hash(valkey, acme, charlies, engine, vllm):
    def health_of(engine):
        places = published_routes(valkey, acme)["base"]["places"]
        return {place["engine"]: place["healthy"] for place in places}[engine]

    for tenant in (acme, charlies):
        publisher.publish_library(tenant.pk)
    publisher.republish_stale()
    twin_of(engine, "other")
    reconciler.reconcile(Engine.objects.get(pk=engine.pk))
    rows, names = valkey.hgetall(keys.route_engines_key()), _dump_names(valkey)
    seen = int(valkey.get(keys.route_generation_key()))
    assert health_of("local")

    vllm.stop()
    reconciler.reconcile(Engine.objects.get(pk=engine.pk))

    assert not health_of("local")
    assert valkey.zrangebyscore(keys.route_changes_key(), seen + 1, "+inf") == ["engine local"]
    assert int(valkey.get(keys.route_generation_key())) == seen + 1
    assert valkey.hget(keys.route_engines_key(), "other") == rows["other"]
    assert len(names) == 2
    assert _dump_names(valkey) == names
    assert not Engine.objects.stale().exists()


def _dump_names(valkey) -> dict[str, object]:
    return {key: valkey.hgetall(key) for key in [*valkey.keys("*:library"), *valkey.keys("routes:styles")]}


@pytest.mark.django_db(transaction=True)
def test_a_placement_writes_one_row_and_no_workspaces_hash(valkey, acme, engine):
    version = known(acme, "noir", engine)
    known(acme, "odes", engine)
    publisher.publish_library(acme.pk)
    names, seen = _dump_names(valkey), int(valkey.get(keys.route_generation_key()))
    placement = Placement.objects.get(version=version)
    transitions.mark_unloaded(placement)
    assert published_routes(valkey, acme)["noir"]["state"] == "loading"
    changed = valkey.zrangebyscore(keys.route_changes_key(), seen + 1, "+inf")
    assert changed == [f"version {version.pk}"]
    assert _dump_names(valkey) == names


@pytest.mark.django_db(transaction=True)
def test_after_a_flush_all_rows_are_written_once(valkey, acme, engine):
    version = known(acme, "noir", engine)
    publisher.republish_stale()
    versions, incarnation = (
        valkey.hgetall(keys.route_versions_key()),
        valkey.get(keys.route_incarnation_key()),
    )
    assert str(version.pk) in versions
    publisher.publish_missing_tables()
    assert valkey.get(keys.route_incarnation_key()) == incarnation
    valkey.flushdb()
    publisher.publish_missing_tables()
    assert valkey.hgetall(keys.route_versions_key()) == versions
    assert set(valkey.hgetall(keys.route_engines_key())) == {"local"}
    assert valkey.get(keys.route_incarnation_key()) != incarnation


@pytest.mark.django_db(transaction=True)
def test_rows_that_valkey_lost_come_back_and_those_of_nothing_go(valkey, acme, engine):
    version = known(acme, "noir", engine)
    publisher.republish_stale()
    before = valkey.hgetall(keys.route_versions_key()), valkey.hgetall(keys.route_engines_key())
    assert publisher.compare_tables() == 0
    generation = int(valkey.get(keys.route_generation_key()))
    valkey.hdel(keys.route_versions_key(), str(version.pk))
    valkey.hdel(keys.route_engines_key(), "local")
    write_rows([source("style:restored-away", 9, {"gone": "0 {}"})])
    assert publisher.compare_tables() == 3
    assert (valkey.hgetall(keys.route_versions_key()), valkey.hgetall(keys.route_engines_key())) == before
    assert "style:restored-away" not in valkey.hgetall(keys.route_sources_key())
    changed = valkey.zrangebyscore(keys.route_changes_key(), generation + 1, "+inf")
    assert set(changed) == {f"version {version.pk}", "engine local", "version gone"}


@pytest.mark.django_db(transaction=True)
def test_what_a_restored_database_has_wins_over_a_newer_copy_in_valkey(valkey, acme, engine):
    version = known(acme, "noir", engine)
    publisher.republish_stale()
    row = str(version.pk)
    right = valkey.hget(keys.route_versions_key(), row)
    style = Style.objects.filter(pk=version.style_id)
    later = style.get().generation + 40
    write_rows([source(f"style:{version.style_id}", later, {row: "0 of the lost future"})])
    with transaction.atomic():
        publisher.mark_changed(style.get())
    assert style.stale().exists()  # it was refused, and doesn't count as published
    publisher.republish_stale()
    assert valkey.hget(keys.route_versions_key(), row) == right
    assert not style.stale().exists()
    Engine.objects.filter(pk=engine.pk).update(generation=1, observed_generation=0)
    write_rows([source("engine:local", 70, {"local": "{}"}, (), "engine")])
    publisher.republish_stale()
    publisher.republish_stale()
    assert valkey.hget(keys.route_engines_key(), "local") != "{}"
    assert not Engine.objects.stale().exists()


@pytest.mark.django_db(transaction=True)
def test_a_slow_writer_counts_nothing_up(valkey, acme, engine):
    version = known(acme, "noir", engine)
    publisher.republish_stale()
    style = Style.objects.filter(pk=version.style_id)
    before = style.get()
    slow = [style.get()]
    with transaction.atomic():
        publisher.mark_changed(before)
    slow[0].generation -= 1
    publisher._observe(Style.objects.all(), slow, refused={f"style:{before.pk}": before.generation + 1})
    assert style.get().generation == before.generation + 1


@pytest.mark.django_db(transaction=True)
def test_a_version_that_ends_takes_its_row_along_and_a_drain_moves_the_context(valkey, acme, engine):
    version = known(acme, "noir", engine)
    small = twin_of(engine, "small", max_model_len=512)
    placement = Placement.objects.create(engine=small, version=version)
    transitions.mark_loaded(placement, version.engine_name)

    def context():
        return valkey.hget(keys.route_versions_key(), str(version.pk)).split(" ")[0]

    assert context() == "512"
    Engine.objects.filter(pk=small.pk).update(is_draining=True)
    with transaction.atomic():
        publisher.mark_engines_changed([small.pk], are_places_new=True)
    publisher.republish_stale()
    assert context() == "2048"
    transitions.retire_version(version)
    assert not valkey.hexists(keys.route_versions_key(), str(version.pk))
