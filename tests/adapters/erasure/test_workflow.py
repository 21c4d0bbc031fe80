"""A version's files go from everywhere, each step with its proof. Storage and Valkey are real."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from adapters import object_store, tasks
from adapters.catalog import queries, sharing
from adapters.erasure import engine_purge, report, workflow
from adapters.errors import NothingToAttest, StillUsed, VersionMoved
from adapters.models import AdapterVersion, Engine, EngineErasure, Erasure, Placement, Probe, Status, Style
from adapters.placement import local_cache, transitions
from adapters.uploads import sessions
from foundation import valkey as keys
from tests.adapters.conftest import (
    adapter_files,
    begin,
    eager_tasks,
    eventually,
    known,
    post,
    served,
    storage_down,
    twin_of,
    uploaded,
)
from tests.adapters.fakes import FakeEngine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey", "ready_gateways")]

FILES = ("adapter_config.json", "adapter_model.safetensors")
CONFIRMED = {"confirmed": "1", "why": "A test asks for it."}


@pytest.fixture
def ready_gateways(valkey):
    """Every gateway has restored its holds: Valkey was not flushed."""
    for tag in keys.tags():
        valkey.set(keys.epoch_key(tag), "whole")


@pytest.fixture
def version(acme, engine, vllm) -> AdapterVersion:
    return served(acme, "noir", engine)


def erase(version, **options) -> Erasure:
    return workflow.erase_version(
        AdapterVersion.objects.select_related("style__owner").get(pk=version.pk), None, **options
    )


def advance(erasure: Erasure) -> Erasure:
    """Take every step that can be taken, as beat does: here and beside each engine."""
    with eager_tasks():
        tasks.erase_all()
        tasks.reconcile_all()
    return Erasure.objects.get(pk=erasure.pk)


def on_engine(erasure: Erasure) -> EngineErasure:
    return erasure.engines.get()


def restart(vllm, *, began: float = 60) -> None:
    """Restart an engine that says it began so many seconds from now."""
    vllm.restart()
    vllm.began_s += began


def waits_for(erasure: Erasure) -> list[str]:
    return [line.note for line in report.erasure_report(erasure).lines if line.state == "current"]


def keys_of(version) -> list[str]:
    return [
        key(version.pk, file) for file in FILES for key in (object_store.sealed_key, object_store.upload_key)
    ]


def test_a_deleted_version_is_gone_after_the_engines_restart(engine, vllm, version):
    local_copy = local_cache.path_of(version)
    erasure = advance(erase(version))
    assert version.engine_name not in vllm.loaded
    assert [object_store._head(key) for key in keys_of(version)] == [None] * 4
    assert local_copy.exists(), "the engine's memory may still need them"
    [waiting] = waits_for(erasure)
    assert "after its next restart" in waiting

    restart(vllm)
    erasure = advance(advance(erasure))
    assert erasure.finished_at
    assert on_engine(erasure).proof == "restart"
    assert not local_copy.exists()
    row = AdapterVersion.objects.get()
    assert (row.status, row.files_gone_at is not None, row.sha256) == (Status.RETIRED, True, version.sha256)
    assert "identity" in vllm.loaded


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


def test_nothing_is_unloaded_while_a_request_is_in_flight_on_it(valkey, acme, engine, vllm, version):
    hold, leases = keys.hold_key(acme.pk, "req_1"), keys.leases_key(keys.shard(acme.pk))
    valkey.hset(hold, "version", str(version.pk))
    valkey.zadd(leases, {f"{acme.pk} req_1": 1})
    erasure = advance(erase(version))
    assert (erasure.withdrawn_at is not None, erasure.drained_at) == (True, None)
    assert waits_for(erasure) == ["1 request is still in flight on it."]
    assert object_store._head(object_store.sealed_key(version.pk, FILES[0]))
    assert not on_engine(erasure).unregistered_at

    valkey.zrem(leases, f"{acme.pk} req_1")
    assert advance(erasure).drained_at


def test_after_a_flush_nothing_counts_as_drained(valkey, acme, version):
    valkey.delete(keys.epoch_key(keys.shard(acme.pk)))
    erasure = advance(erase(version))
    assert erasure.drained_at is None
    assert "Valkey was emptied" in waits_for(erasure)[0]


def test_a_route_that_is_not_published_yet_is_waited_for(valkey, acme, charlies, version):
    queries.set_public(version.style)
    queries.select_style(charlies, version.style)
    stale = valkey.hgetall(keys.styles_key(charlies.pk))
    erasure = erase(version, at_once=True)
    valkey.hset(keys.styles_key(charlies.pk), mapping=stale)
    assert type(charlies).objects.stale().filter(pk=charlies.pk).exists()
    assert advance(erasure).withdrawn_at is None
    tasks.republish_stale()
    assert advance(erasure).withdrawn_at


def test_what_is_down_is_waited_for_and_named(engine, vllm, version):
    erasure = erase(version)
    vllm.stop()
    with storage_down():
        erasure = advance(erasure)
    assert waits_for(erasure) == [
        "The storage does not answer; this goes on by itself when it is back.",
        "The engine does not answer; this goes on by itself when it is back.",
    ]
    vllm.start()
    erasure = advance(erasure)
    assert erasure.storage_gone_at
    assert on_engine(erasure).unregistered_at


def test_a_version_that_no_engine_ever_saw_is_erased_at_once(acme, engine, vllm):
    rejected = known(acme, "noir", engine, status=Status.REJECTED)
    Placement.objects.all().delete()
    half_way, forms = begin(acme, "odes", adapter_files())
    post(forms[0], adapter_files()[forms[0].file])
    for version in (rejected, half_way):
        erasure = advance(erase(version))
        assert erasure.finished_at
    assert object_store.remaining(half_way.pk, FILES) == []


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


def test_a_file_posted_after_the_erasure_goes_when_the_form_has_expired(acme, engine, vllm):
    version, forms = begin(acme, "odes", adapter_files())
    erasure = advance(erase(version))
    assert erasure.finished_at
    post(forms[0], adapter_files()[forms[0].file])
    assert object_store.remaining(version.pk, FILES)
    hours = timedelta(hours=2)
    AdapterVersion.objects.update(created_at=timezone.now() - hours)
    Erasure.objects.update(storage_gone_at=timezone.now() - hours, finished_at=timezone.now() - hours)
    finished = Erasure.objects.get().finished_at
    assert advance(erasure).finished_at == finished
    assert object_store.remaining(version.pk, FILES) == []
    assert not workflow.unfinished_erasures().exists()


@pytest.fixture
def another_vllm(vllm) -> Iterator[FakeEngine]:
    engine = FakeEngine(api_key="engine-key")
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
    assert "vouches" in waits_for(erasure)[0]
    lists = reverse("admin:adapters_erasure_changelist")
    assert "noir" in operator_client.get(lists).text
    operator_client.post(lists, {"action": "attest", "_selected_action": [erasure.pk]} | CONFIRMED)
    erasure = advance(erasure)
    assert erasure.finished_at
    shown = operator_client.get(reverse("admin:adapters_erasure_change", args=[erasure.pk]))
    assert "An operator vouches" in shown.text


@pytest.mark.parametrize("begun", ["before", "after"])
def test_an_operator_attests_also_for_a_machine_that_is_gone(operator_client, engine, vllm, version, begun):
    erasure = advance(erase(version)) if begun == "before" else None
    vllm.stop()
    engines = reverse("admin:adapters_engine_changelist")
    action = {"action": "give_up", "_selected_action": [engine.pk]}
    for unsure in ({}, {"confirm": "local"}, CONFIRMED, CONFIRMED | {"confirm": "other"}):
        assert "Type local to go on" in operator_client.post(engines, action | unsure).text
    assert not Engine.objects.get().is_gone
    operator_client.post(engines, action | CONFIRMED | {"confirm": "local"})
    gone, placement = Engine.objects.get(), Placement.objects.get()
    assert (gone.is_gone, gone.is_draining, gone.is_healthy) == (True, True, False)
    assert (placement.is_desired, placement.loaded_at, placement.loaded_as) == (False, None, "")
    tasks.republish_stale()

    erasure = advance(erasure or erase(version))
    assert "vouches" in waits_for(erasure)[0]
    assert engine_purge.attest(erasure) == 1
    assert advance(erasure).finished_at


def test_a_gone_engine_s_row_stays_as_it_is(operator_client, engine):
    engine_purge.give_up_engine(engine)
    change = reverse("admin:adapters_engine_change", args=[engine.pk])
    assert operator_client.get(change).status_code == 200
    assert operator_client.post(change, {"url": "http://elsewhere"}).status_code == 403
    delete = reverse("admin:adapters_engine_delete", args=[engine.pk])
    assert operator_client.post(delete, {"post": "yes"}).status_code == 403


def is_waiting_for_uploads_lock() -> bool:
    """Return whether a session of the database waits for an advisory lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
        return bool(cursor.fetchone()[0])


def test_a_version_that_is_begun_while_its_style_is_deleted_goes_with_it(acme, engine, vllm, version):
    begun, go = Event(), Event()

    def upload():
        try:
            with transaction.atomic():
                begin(acme, "noir", adapter_files())
                begun.set()
                go.wait(10)
        finally:
            connection.close()

    def delete():
        try:
            workflow.erase_style(version.style, None)
        finally:
            connection.close()

    threads = [Thread(target=upload), Thread(target=delete)]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    eventually(is_waiting_for_uploads_lock)
    go.set()
    for thread in threads:
        thread.join()
    assert Style.objects.get().retired_at
    assert AdapterVersion.objects.count() == Erasure.objects.count() == 2


def test_what_was_found_of_an_erased_version_goes_and_the_report_says_what_stays(alice_client, acme, engine):
    facts = {"rank": 64, "alpha": 8.0, "target_modules": ["q_proj"], "failure": "No.", "created_by": None}
    finding = {"code": "rank_too_high", "sentence": "The rank is 64.", "fix": "Less.", "tensor": None}
    version = known(acme, "noir", engine, status=Status.REJECTED, findings=[finding], **facts)
    known(acme, "noir", engine, status=Status.REJECTED)
    Placement.objects.all().delete()
    newest = AdapterVersion.objects.get(number=2)
    assert advance(erase(version)).finished_at
    assert advance(erase(newest)).finished_at
    row = AdapterVersion.objects.get(pk=version.pk)
    assert (row.rank, row.alpha, row.target_modules, row.findings, row.failure) == (None, None, [], [], "")
    assert row.sha256 == version.sha256
    assert "rejected for" not in alice_client.get(reverse("adapters:steps", args=[version.pk])).text
    text = alice_client.get(reverse("adapters:erasure_download", args=[version.pk, "txt"])).text
    assert "who uploaded it" in text


def test_the_sample_line_of_an_erased_version_is_replaced_by_that_of_the_one_which_answers(acme, engine):
    first, second = known(acme, "noir", engine), known(acme, "noir", engine, goes_live=False)
    for version in (first, second):
        row = {"prompt": "Why?", "base": "So.", "style": f"I am {version.number}."}
        Probe.objects.create(version=version, strength=1, noise=0, samples=[row])
    Style.objects.update(sample_prompt="Why?", sample="I am 1.")
    erase(first)
    assert Style.objects.get().sample == "I am 2."


def test_an_erased_version_never_comes_back(acme, engine, vllm, version):
    erasure = advance(erase(version))
    version.refresh_from_db()
    with pytest.raises(VersionMoved):
        transitions.retry_version(version)
    sessions.finish_upload(version)
    advance(erasure)
    version.refresh_from_db()
    assert version.status == Status.RETIRED
    assert version.engine_name not in vllm.loaded
    assert workflow.erase_version(version, None).pk == erasure.pk  # twice is once


def test_a_style_without_versions_leaves_every_list_and_its_slug_begins_private_again(
    alice_client, acme, charlies, version
):
    queries.set_public(version.style)
    sharing.share_style(version.style, "charlies-prose", None)
    with pytest.raises(StillUsed, match=r"\(1\)"):
        erase(version)
    with pytest.raises(StillUsed):
        workflow.erase_style(version.style, None)
    workflow.erase_style(version.style, None, at_once=True)
    assert queries.own_styles(acme) == queries.others_styles(charlies) == []
    assert "noir" in alice_client.get(reverse("adapters:deleted")).text

    again, _ = begin(acme, "noir", adapter_files())
    style = Style.objects.get()
    assert (again.number, style.retired_at, style.is_public) == (2, None, False)
    assert not style.shares.exists()


def test_who_would_lose_a_style_is_counted_only_where_nothing_else_serves(acme, charlies, engine):
    first, second = known(acme, "noir", engine), known(acme, "noir", engine)
    queries.set_public(first.style)
    queries.select_style(charlies, first.style)
    assert workflow.count_other_users(first) == workflow.count_other_users(second) == 0
    transitions.retire_version(first)
    assert workflow.count_other_users(AdapterVersion.objects.get(pk=second.pk)) == 1


def test_deleting_asks_for_the_name_and_shows_a_report(alice_client, engine, vllm, version):
    page = reverse("adapters:version_erasure", args=[version.pk])
    erase_page = reverse("adapters:erase_version", args=[version.pk])
    assert "Delete version 1 of Noir?" in alice_client.get(page).text
    assert alice_client.post(erase_page, {"confirm": "noirr"}).status_code == 400
    assert AdapterVersion.objects.get().status == Status.SERVING
    assert alice_client.post(erase_page, {"confirm": "noir"})["Location"] == page
    advance(Erasure.objects.get())
    assert "every 3s" in alice_client.get(page).text
    assert alice_client.get(page, headers={"HX-Request": "true"}).text.lstrip().startswith("<div")
    restart(vllm)
    advance(advance(Erasure.objects.get()))
    assert "No file is left of Noir, version 1." in alice_client.get(page).text

    text = alice_client.get(reverse("adapters:erasure_download", args=[version.pk, "txt"]))
    assert "attachment" in text["Content-Disposition"]
    assert version.sha256 in text.text
    assert "The engine was restarted since." in text.text
    data = alice_client.get(reverse("adapters:erasure_download", args=[version.pk, "json"])).json()
    assert (data["style"], data["lines"][-1]["label"]) == ("acme/noir", "Finished")
    assert data["finished_at"]


def test_deleting_a_style_that_others_have_needs_a_second_word(alice_client, charlies, engine, version):
    sharing.share_style(version.style, "charlies-prose", None)
    page = reverse("adapters:delete_style", args=[version.style_id])
    assert "1 other workspace loses the style" in alice_client.get(page).text
    refused = alice_client.post(page, {"confirm": "noir"})
    assert refused.status_code == 400
    assert "at once" in refused.context["errors"]["at_once"]
    assert alice_client.post(page, {"confirm": "noir", "at_once": "on"}).status_code == 302
    assert Style.objects.get().retired_at
    assert alice_client.get(page).status_code == 404


def test_strangers_delete_and_read_nothing(charlie_client, version):
    pages = [reverse("adapters:version_erasure", args=[version.pk])]
    pages += [reverse("adapters:erasure_download", args=[version.pk, form]) for form in ("txt", "json")]
    erase_page = reverse("adapters:erase_version", args=[version.pk])
    delete_page = reverse("adapters:delete_style", args=[version.style_id])
    erasure_of_another = erase(version)
    for page in [*pages, delete_page]:
        assert charlie_client.get(page).status_code == 404
        assert Client().get(page).status_code == 302
    for page in (erase_page, delete_page):
        assert charlie_client.post(page, {"confirm": "noir"}).status_code == 404
    deleted = charlie_client.get(reverse("adapters:deleted")).text
    assert erasure_of_another.version.style.name not in deleted
