"""An engine keeps nothing of an erased version: not in its list, its memory or on its disk."""

from collections.abc import Iterator

import pytest
from django.urls import reverse

from adapters import object_store, tasks
from adapters.erasure import engine_purge
from adapters.errors import NothingToAttest
from adapters.models import AdapterVersion, Engine, Placement, Status
from adapters.placement import local_cache
from tests.adapters.builders import adapter_files, eager_tasks, served, twin_of, uploaded
from tests.adapters.erasure.conftest import FILES, advance, erase, on_engine, restart, waits_for
from tests.fakes.vllm_control import FakeVllm

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey", "ready_gateways")]

CONFIRMED = {"confirmed": "1", "why": "A test asks for it."}


def keys_of(version) -> list[str]:
    return [
        key(version.pk, file) for file in FILES for key in (object_store.sealed_key, object_store.upload_key)
    ]


def test_a_deleted_version_is_gone_after_the_engines_restart(engine, vllm, version):
    local_copy = local_cache.path_of(version)
    erasure = advance(erase(version))
    assert version.engine_name not in vllm.loaded
    assert [object_store.client.head(key) for key in keys_of(version)] == [None] * 4
    assert local_copy.exists(), "the engine's memory may still need them"
    [waiting] = waits_for(erasure)
    assert "next restart" in waiting

    restart(vllm)
    erasure = advance(advance(erasure))
    assert erasure.finished_at
    assert on_engine(erasure).proof == "restart"
    assert not local_copy.exists()
    row = AdapterVersion.objects.get()
    assert (row.status, row.files_gone_at is not None, row.sha256) == (Status.RETIRED, True, version.sha256)


def test_loads_of_other_adapters_do_not_prove_that_the_memory_is_free(acme, engine, vllm, version):
    Engine.objects.update(max_cpu_loras=1)
    erasure = advance(erase(version))
    for seed in (1, 2):
        served(acme, "other", engine, adapter_files(seed=seed))
    erasure = advance(erasure)
    assert not on_engine(erasure).memory_free_at
    assert local_cache.is_cached(version)
    restart(vllm)
    assert advance(advance(erasure)).finished_at


def test_a_restart_counts_also_where_the_clocks_say_that_it_was_before_the_unloading(vllm, version):
    erasure = advance(erase(version))
    restart(vllm, began=-3600)
    assert on_engine(advance(advance(erasure))).proof == "restart"


def test_the_process_that_unloaded_the_name_proves_nothing(engine, vllm, version):
    erasure = advance(advance(erase(version)))
    assert on_engine(erasure).unregistered_at
    assert not on_engine(erasure).memory_free_at


def test_a_version_that_was_never_cached_beside_the_engine_needs_no_restart(acme, engine, vllm):
    version = uploaded(acme)
    vllm.stop()
    with eager_tasks():
        tasks.advance(str(version.pk))
    assert version.placements.get().is_desired
    vllm.start()
    erasure = advance(advance(erase(version)))
    assert (erasure.finished_at is not None, on_engine(erasure).proof) == (True, "never")


def test_the_same_files_as_a_module_of_the_engines_own_are_named(engine, vllm, version, tmp_path):
    for name, content in adapter_files().items():
        (tmp_path / name).write_bytes(content)
    vllm.loaded["poetry-bot"] = str(tmp_path)
    erasure = advance(erase(version))
    assert "poetry-bot" in waits_for(erasure)[0]
    restart(vllm)
    assert on_engine(advance(erasure)).unregistered_at


@pytest.fixture
def another_vllm(vllm) -> Iterator[FakeVllm]:
    engine = FakeVllm(api_key="engine-key")
    yield engine
    engine.stop()


def test_copies_in_a_folder_that_two_engines_share_stay_until_both_are_free(
    engine, vllm, another_vllm, version
):
    second = twin_of(engine, "second", url=another_vllm.url)
    Placement.objects.create(engine=second, version=version, loads=1)
    erasure = advance(erase(version))
    restart(vllm)
    erasure = advance(erasure)
    free = erasure.engines.get(engine=engine.name)
    assert (free.memory_free_at is not None, free.copy_gone_at) == (True, None)
    assert local_cache.is_cached(version)
    restart(another_vllm)
    assert advance(advance(erasure)).finished_at
    assert not local_cache.is_cached(version)


def test_an_operator_attests_for_an_engine_that_nobody_can_look_at(operator_client, engine, vllm, version):
    erasure = advance(erase(version))
    with pytest.raises(NothingToAttest):
        engine_purge.attest(erasure)
    engine.delete()
    erasure = advance(erasure)
    assert "An operator must confirm" in waits_for(erasure)[0]
    lists = reverse("admin:adapters_erasure_changelist")
    assert "noir" in operator_client.get(lists).text
    operator_client.post(lists, {"action": "attest", "_selected_action": [erasure.pk]} | CONFIRMED)
    erasure = advance(erasure)
    assert erasure.finished_at
    shown = operator_client.get(reverse("admin:adapters_erasure_change", args=[erasure.pk]))
    assert "An operator confirmed that its machines were wiped" in shown.text


@pytest.mark.parametrize("begun", ["before", "after"])
def test_an_operator_attests_also_for_a_machine_that_is_gone(operator_client, engine, vllm, version, begun):
    erasure = advance(erase(version)) if begun == "before" else None
    vllm.stop()
    engines = reverse("admin:adapters_engine_changelist")
    action = {"action": "give_up", "_selected_action": [engine.pk]}
    for unsure in ({}, {"confirm": "local"}, CONFIRMED, CONFIRMED | {"confirm": "other"}):
        assert "Type local to confirm" in operator_client.post(engines, action | unsure).text
    assert not Engine.objects.get().is_gone
    operator_client.post(engines, action | CONFIRMED | {"confirm": "local"})
    gone, placement = Engine.objects.get(), Placement.objects.get()
    assert (gone.is_gone, gone.is_draining, gone.is_healthy) == (True, True, False)
    assert (placement.is_desired, placement.loaded_at, placement.loaded_as) == (False, None, "")
    tasks.republish_stale()

    erasure = advance(erasure or erase(version))
    assert "An operator must confirm" in waits_for(erasure)[0]
    assert engine_purge.attest(erasure) == 1
    assert advance(erasure).finished_at


def test_a_gone_engine_s_row_stays_as_it_is(operator_client, engine):
    engine_purge.give_up_engine(engine)
    change = reverse("admin:adapters_engine_change", args=[engine.pk])
    assert operator_client.get(change).status_code == 200
    assert operator_client.post(change, {"url": "http://elsewhere"}).status_code == 403
    delete = reverse("admin:adapters_engine_delete", args=[engine.pk])
    assert operator_client.post(delete, {"post": "yes"}).status_code == 403
