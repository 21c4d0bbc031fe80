"""A version's files go from everywhere, each step with its proof. Storage and Valkey are real."""

from datetime import timedelta
from threading import Event

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from adapters import object_store, tasks
from adapters.catalog import selection, sharing
from adapters.erasure import workflow
from adapters.errors import StillUsed, VersionMoved
from adapters.models import AdapterVersion, Erasure, Placement, Probe, Status, Style
from adapters.placement import transitions
from adapters.uploads import sessions
from core import valkey as keys
from tests.adapters.builders import adapter_files, begin, known, others_styles, own_styles, post, storage_down
from tests.adapters.erasure.conftest import FILES, advance, erase, on_engine, waits_for
from tests.racing import race
from tests.tenants.builders import owner_of
from tests.waiting import PATIENCE_S, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey", "ready_gateways")]


def test_nothing_is_unloaded_while_a_request_is_in_flight_on_it(valkey, acme, engine, vllm, version):
    hold, leases = keys.hold_key(acme.pk, "req_1"), keys.leases_key()
    valkey.hset(hold, "version", str(version.pk))
    valkey.zadd(leases, {f"{acme.pk} req_1": 1})
    erasure = advance(erase(version))
    assert (erasure.withdrawn_at is not None, erasure.drained_at) == (True, None)
    assert waits_for(erasure) == ["1 request is still using it."]
    assert object_store.client.head(object_store.sealed_key(version.pk, FILES[0]))
    assert not on_engine(erasure).unregistered_at

    valkey.zrem(leases, f"{acme.pk} req_1")
    assert advance(erasure).drained_at


def test_after_a_flush_nothing_counts_as_drained(valkey, acme, version):
    valkey.delete(keys.epoch_key())
    erasure = advance(erase(version))
    assert erasure.drained_at is None
    assert "Valkey lost its data" in waits_for(erasure)[0]


def test_a_route_that_is_not_published_yet_is_waited_for(valkey, acme, charlies, version):
    stale = valkey.hgetall(keys.route_styles_key())
    erasure = erase(version, at_once=True)
    valkey.hset(keys.route_styles_key(), mapping=stale)
    assert advance(erasure).withdrawn_at is None
    Style.objects.update(generation=F("generation") + 1)
    assert advance(erasure).withdrawn_at is None
    tasks.republish_stale()
    assert not valkey.exists(keys.route_styles_key())
    assert advance(erasure).withdrawn_at


def test_what_is_down_is_waited_for_and_named(engine, vllm, version):
    erasure = erase(version)
    vllm.stop()
    with storage_down():
        erasure = advance(erasure)
    assert waits_for(erasure) == [
        "We can't reach the storage. We'll retry automatically.",
        "The engine isn't responding. We'll retry automatically.",
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


def is_waiting_for_uploads_lock() -> bool:
    """Return whether a session of the database waits for an advisory lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database()))"
        )
        return bool(cursor.fetchone()[0])


def test_a_version_that_is_begun_while_its_style_is_deleted_goes_with_it(acme, engine, vllm, version):
    begun = Event()

    def upload():
        with transaction.atomic():
            begin(acme, "noir", adapter_files())
            begun.set()
            eventually(is_waiting_for_uploads_lock)

    def delete():
        assert begun.wait(PATIENCE_S)
        workflow.erase_style(version.style, None)

    race(upload, delete)
    assert Style.objects.get().retired_at
    assert AdapterVersion.objects.count() == Erasure.objects.count() == 2


def test_the_sample_line_of_an_erased_version_is_replaced_by_that_of_the_one_which_answers(acme, engine):
    first, second = known(acme, "noir", engine), known(acme, "noir", engine)
    Style.objects.update(live_version=first)
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
    sharing.set_public(version.style)
    sharing.share_style(owner_of(version.style.owner), version.style, "charlies-prose")
    with pytest.raises(StillUsed, match=r"\(1\)"):
        erase(version)
    with pytest.raises(StillUsed):
        workflow.erase_style(version.style, None)
    workflow.erase_style(version.style, None, at_once=True)
    assert own_styles(acme) == others_styles(charlies) == []
    assert "noir" in alice_client.get(reverse("adapters:deleted")).text

    again, _ = begin(acme, "noir", adapter_files())
    style = Style.objects.get()
    assert (again.number, style.retired_at, style.is_public) == (2, None, False)
    assert not style.shares.exists()


def test_who_would_lose_a_style_is_counted_only_where_nothing_else_serves(acme, charlies, engine):
    first, second = known(acme, "noir", engine), known(acme, "noir", engine)
    sharing.set_public(first.style)
    selection.select_style(owner_of(charlies), first.style)
    assert workflow.count_other_users(first) == workflow.count_other_users(second) == 0
    transitions.retire_version(first)
    assert workflow.count_other_users(AdapterVersion.objects.get(pk=second.pk)) == 1
