"""From two files to a version that serves, on real services; the engine is a fake that behaves."""

import time
from threading import Event

import pytest
from django.conf import settings
from django.db import connection
from django.urls import reverse

from adapters import object_store, tasks
from adapters.errors import NotUploaded, StorageUnavailable
from adapters.models import AdapterVersion, Engine, Placement, Status, Style, UploadNote
from adapters.placement import reconciler, transitions
from adapters.routing import publisher
from adapters.uploads import pipeline, sessions
from tenants.models import Tenant
from tests.adapters.builders import (
    adapter_files,
    begin,
    eager_tasks,
    post,
    posted,
    published_routes,
    served,
    storage_down,
    uploaded,
)
from tests.racing import race
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.django_db(transaction=True)


def history(version):
    return list(version.history.values_list("status", flat=True))


def test_an_upload_is_checked_pushed_and_serves(valkey, alice_client, engine, vllm, folder):
    files = adapter_files()
    acme = Tenant.objects.get(slug="acme")
    about = {"slug": "noir", "name": "Noir", "description": "Rain.", "sample_prompt": "Describe a morning."}
    body = {**about, "files": [{"name": name, "size": len(content)} for name, content in files.items()]}
    answer = alice_client.post(reverse("adapters:create_version"), body, content_type="application/json")
    assert answer.status_code == 201
    assert [form["file"] for form in answer.json()["uploads"]] == list(files)
    for form in answer.json()["uploads"]:
        assert post(object_store.Upload(**form), files[form["file"]]) == 204
    assert alice_client.post(answer.json()["finish"], {}, content_type="application/json").status_code == 200

    version = AdapterVersion.objects.get(pk=answer.json()["version"])
    publisher.publish_library(acme.pk)  # as when somebody asks for the first time
    assert pipeline.advance_version(version) == [engine]
    reconciler.reconcile(engine)

    version.refresh_from_db()
    assert history(version) == ["uploading", "uploaded", "valid", "pushing", "serving"]
    assert (version.rank, version.target_modules) == (4, ["q_proj", "v_proj"])
    assert vllm.loaded[version.engine_name] == str(folder / str(version.pk))
    assert {name: (folder / str(version.pk) / name).read_bytes() for name in files} == files
    route = published_routes(valkey, acme)["acme/noir"]
    place = route["places"][0]
    assert (place["lora"], place["url"], route["version"]) == (version.engine_name, vllm.url, 1)
    assert answer.json()["page"] == "/styles/acme/noir/"
    page = alice_client.get(answer.json()["page"])
    assert "version 1 is live" in page.text
    assert object_store.uploaded_size(version.pk, "adapter_config.json") is None, "it is not needed any more"


def test_s3_itself_refuses_another_size_and_another_key(acme, base_model):
    files = adapter_files()
    version, forms = begin(acme, "noir", files)
    config, weights = forms
    assert post(weights, files[weights.file] + b"x") in (400, 403, 413)
    assert post(weights, b"") in (400, 403)
    elsewhere = {**config.fields, "key": object_store.sealed_key(version.pk, config.file)}
    assert post(object_store.Upload(config.file, config.url, elsewhere), files[config.file]) == 403
    with pytest.raises(NotUploaded, match="is incomplete"):
        sessions.finish_upload(version)
    assert AdapterVersion.objects.get().status == Status.UPLOADING


def test_a_post_after_sealing_changes_nothing(acme, engine, folder, monkeypatch):
    files, others = adapter_files(), adapter_files(seed=9)
    version, forms = posted(acme, files=files)
    sessions.finish_upload(version)
    real = pipeline.validate_adapter

    def examine_while_another_posts(*args):
        for form in forms:
            assert post(form, others[form.file]) == 204
        return real(*args)

    monkeypatch.setattr(pipeline, "validate_adapter", examine_while_another_posts)
    pipeline.advance_version(version)
    for form in forms:
        post(form, others[form.file])
    reconciler.reconcile(engine)
    local_copy = folder / str(version.pk)
    assert {name: (local_copy / name).read_bytes() for name in files} == files


def test_sealed_files_that_are_not_the_checked_ones_never_reach_the_engine(acme, engine, vllm):
    version = uploaded(acme)
    pipeline.advance_version(version)
    client = object_store.client.internal_client()
    for file, content in adapter_files(seed=9).items():
        client.put_object(
            Bucket=settings.S3_BUCKET, Key=object_store.sealed_key(version.pk, file), Body=content
        )
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert version.status == Status.FAILED
    assert "Upload the adapter again" in str(version.failure)
    assert version.engine_name not in vllm.loaded


def test_what_is_not_there_is_waited_for(acme, engine, vllm):
    version, _ = posted(acme)
    with storage_down():
        sessions.finish_upload(version)  # it is noted, although the storage can't be asked now
        assert pipeline.advance_version(version) == []
    version.refresh_from_db()
    assert (version.status, version.note) == (Status.UPLOADING, StorageUnavailable().message)
    assert version in AdapterVersion.objects.in_work()
    pipeline.advance_version(version)
    assert version.status == Status.PUSHING

    vllm.stop()
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert (version.status, version.note) == (
        Status.PUSHING,
        "The engine isn't responding. We'll retry automatically.",
    )
    assert not Engine.objects.get().is_healthy
    vllm.start()
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert (version.status, version.note) == (Status.SERVING, "")


def test_a_storage_that_is_down_holds_up_only_what_is_not_cached_yet(acme, engine, vllm):
    cached = served(acme, "noir", engine)
    new = uploaded(acme, "odes")
    pipeline.advance_version(new)
    vllm.restart()
    with storage_down():
        reconciler.reconcile(engine)
    new.refresh_from_db()
    assert set(vllm.loaded) == {cached.engine_name}
    assert new.note == StorageUnavailable().message
    assert Engine.objects.get().is_healthy


def test_a_lost_message_fails_no_request_and_is_resent(alice_client, acme, engine, broker_down, monkeypatch):
    version, _ = posted(acme)
    pauses_s: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", pauses_s.append)
    answer = alice_client.post(reverse("adapters:finish", args=[version.pk]))
    assert answer.status_code == 200
    assert sum(pauses_s) < 1  # kombu's own patience is six seconds
    version.refresh_from_db()
    assert version.status == Status.UPLOADED

    monkeypatch.undo()  # the broker is back
    with eager_tasks():
        tasks.advance_all()
    version.refresh_from_db()
    assert version.status == Status.SERVING


def test_two_workers_take_each_step_once(acme, engine, vllm, monkeypatch):
    version = uploaded(acme)
    advanced, reconciled = Event(), Event()  # set by the worker that does not hold the lock
    examined, requested_loads = [], []
    real = pipeline.validate_adapter

    def examine_while_the_other_advances(*args):
        examined.append(args)
        advanced.clear()
        assert advanced.wait(PATIENCE_S)
        return real(*args)

    def load_while_the_other_reconciles(name):
        requested_loads.append(name)
        reconciled.clear()
        assert reconciled.wait(PATIENCE_S)

    monkeypatch.setattr(pipeline, "validate_adapter", examine_while_the_other_advances)
    vllm.before_load = load_while_the_other_reconciles

    def work():
        deadline = time.monotonic() + 2 * PATIENCE_S
        while AdapterVersion.objects.get().status != Status.SERVING and time.monotonic() < deadline:
            pipeline.advance_version(AdapterVersion.objects.get())
            advanced.set()
            reconciler.reconcile(Engine.objects.get())
            reconciled.set()

    race(work, work)
    assert history(version) == ["uploading", "uploaded", "valid", "pushing", "serving"]
    assert len(examined) == 1
    assert requested_loads.count(version.engine_name) == 1
    assert Placement.objects.get().loads == 1


def test_a_version_retired_while_it_is_loaded_does_not_serve(acme, engine, vllm):
    version = uploaded(acme)
    pipeline.advance_version(version)

    def retire(name):
        if name == version.engine_name:
            transitions.retire_version(AdapterVersion.objects.get(pk=version.pk))
            connection.close()

    vllm.before_load = retire
    reconciler.reconcile(engine)
    version.refresh_from_db()
    assert version.status == Status.RETIRED
    assert version.engine_name not in vllm.loaded
    assert Style.objects.get().live_version is None


def test_without_an_engine_a_valid_version_waits_and_a_silent_worker_is_named(acme, engine):
    engine.delete()
    version = uploaded(acme)
    assert pipeline.advance_version(version) == []
    assert (version.status, str(version.note)[:9]) == (Status.VALID, "No engine")
    engine.pk, engine.name = None, "late"
    engine.save(force_insert=True)
    pipeline.advance_version(version)
    assert version.status == Status.PUSHING
    assert "worker isn't responding" in str(version.note)


def test_a_fault_of_ours_is_said_and_raised(acme, engine, monkeypatch):
    version = uploaded(acme)
    monkeypatch.setattr(pipeline, "validate_adapter", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pipeline.advance_version(version)
    version.refresh_from_db()
    assert (version.status, version.note) == (Status.UPLOADED, UploadNote.OUR_FAULT())
