"""What the storage has left over is deleted; what is needed stays."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.utils import timezone

from adapters import actions, object_store
from adapters.errors import PlanFull
from adapters.models import AdapterVersion, Status
from adapters.uploads import pipeline, pruner, sessions, storage_quota
from adapters.uploads.upload_request import StyleDescription
from tests.adapters.builders import adapter_files, by, post, posted, storage_down, uploaded
from tests.adapters.uploads.conftest import keys, limited

pytestmark = pytest.mark.usefixtures("empty_bucket")


def test_what_was_posted_goes_when_the_upload_is_abandoned_or_cancelled(acme, base_model):
    cancelled, _ = posted(acme)
    posted(acme)
    sessions.cancel_upload(cancelled)
    AdapterVersion.objects.update(created_at=timezone.now() - timedelta(hours=25))
    sessions.abandon_old_uploads()
    assert keys(object_store.POSTED) == []


@pytest.mark.parametrize("end", ["cancel", "reject", "serve"])
def test_what_is_posted_again_afterwards_goes_with_the_next_pass_and_counts_until_then(acme, engine, end):
    files = adapter_files(base="Llama-3.1-8B" if end == "reject" else engine.base_model.name)
    version, forms = posted(acme, files=files)
    if end == "cancel":
        sessions.cancel_upload(version)
    else:
        sessions.finish_upload(version)
        pipeline.advance_version(version)
    assert [post(form, files[form.file]) for form in forms] == [204, 204]
    assert len(keys(object_store.POSTED)) == 2
    assert storage_quota.storage_of(acme).used_bytes == sum(map(len, files.values()))
    assert pruner.prune_storage() == 2
    assert keys(object_store.POSTED) == []
    assert len(keys(object_store.SEALED)) == (2 if end == "serve" else 0)
    AdapterVersion.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert storage_quota.storage_of(acme).used_bytes == (
        sum(map(len, files.values())) if end == "serve" else 0
    )


def test_what_could_not_be_deleted_at_once_goes_later(acme, base_model):
    version, _ = posted(acme)
    with storage_down():
        sessions.cancel_upload(version)
    assert len(keys(object_store.POSTED)) == 2
    pruner.prune_storage()
    assert keys(object_store.POSTED) == []


def test_what_is_needed_stays(acme, engine):
    open_, _ = posted(acme)
    waiting = uploaded(acme, "odes")
    served = uploaded(acme, "tide")
    pipeline.advance_version(served)
    retired = uploaded(acme, "tide", adapter_files(seed=2))
    pipeline.advance_version(retired)
    AdapterVersion.objects.filter(pk=retired.pk).update(status=Status.RETIRED)
    before = keys("")
    assert pruner.prune_storage() == 0
    assert keys("") == before
    assert {open_.pk, waiting.pk} == set(object_store.versions(object_store.POSTED, start="", limit=10))
    assert {served.pk, retired.pk} == set(object_store.versions(object_store.SEALED, start="", limit=10))


def test_what_is_kept_for_a_conversion_stays_a_week_counts_and_then_goes(acme, engine):
    files = convertible()
    version = uploaded(acme, "noir", files)
    pipeline.advance_version(version)
    assert version.conversions
    assert pruner.prune_storage() == 0
    assert storage_quota.storage_of(acme).used_bytes == sum(map(len, files.values()))
    limited(stored_versions=0)
    with pytest.raises(PlanFull, match="Your plan includes 0 stored versions"):
        actions.convert_version(by(), version)
    version.history.update(at=timezone.now() - timedelta(days=8))
    pruner.withdraw_old_conversions()
    assert keys(object_store.SEALED) == []
    assert AdapterVersion.objects.get().stored_bytes == 0


def convertible() -> dict[str, bytes]:
    files = adapter_files()
    return files | {"adapter_config.json": files["adapter_config.json"].replace(b'"LORA"', b'"lora"')}


def test_what_has_no_row_goes_after_a_week_but_not_with_another_database(acme, engine, monkeypatch, caplog):
    stray = uuid4()
    object_store.write(stray, "adapter_config.json", [b"{}"])
    monkeypatch.setattr(pruner, "UNKNOWN_KEPT_FOR", timedelta())
    assert pruner.prune_storage() == 0
    assert "is this the database that belongs to it?" in caplog.text
    pipeline.advance_version(uploaded(acme))
    monkeypatch.setattr(pruner, "UNKNOWN_KEPT_FOR", timedelta(days=7))
    assert pruner.prune_storage() == 0
    monkeypatch.setattr(pruner, "UNKNOWN_KEPT_FOR", timedelta())
    assert pruner.prune_storage() == 1
    assert len(keys(object_store.SEALED)) == 2


def test_a_pass_is_bounded_and_every_version_has_its_turn(acme, base_model, monkeypatch):
    monkeypatch.setattr(pruner, "FILES_PER_PASS", 2)
    about = StyleDescription(slug="noir", name="Noir")
    for _ in range(5):
        version, (form,) = sessions.begin_upload(acme, None, about, {"noir.zip": 1})
        post(form, b"x")
        AdapterVersion.objects.filter(pk=version.pk).update(status=Status.REJECTED, stored_bytes=0)
    starts = iter(["", "8", "f", *(str(pk) for pk in AdapterVersion.objects.values_list("pk", flat=True))])
    monkeypatch.setattr(pruner, "uuid4", lambda: next(starts))
    assert [pruner.prune_storage() for _ in range(3)] == [2, 2, 1]


def test_parts_that_a_killed_worker_left_are_aborted(monkeypatch):
    key = object_store.sealed_key(uuid4(), "adapter_model.safetensors")
    object_store.client.internal_client().create_multipart_upload(Bucket=settings.S3_BUCKET, Key=key)
    assert object_store.abort_old_parts(timezone.now() - timedelta(hours=1)) == 0
    assert object_store.abort_old_parts(timezone.now() + timedelta(hours=1)) >= 1


def test_the_bucket_expires_leftovers_itself_and_keeps_the_rules_of_others(db):
    client, bucket = object_store.client.internal_client(), settings.S3_BUCKET
    theirs = {"ID": "theirs", "Filter": {"Prefix": "x/"}, "Status": "Enabled", "Expiration": {"Days": 3}}
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [theirs]})
    assert object_store.keep_rules()
    assert object_store.keep_rules()
    rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert [rule["ID"] for rule in rules] == ["theirs", *(rule["ID"] for rule in object_store.pruning.RULES)]


def test_more_uploads_in_parts_than_a_page_holds_are_all_found_and_aborted():
    begun = {(uuid4(), f"file-{number}") for number in range(5)}
    again, _ = next(iter(begun))
    begun.add((again, "another"))
    for version_id, file in begun:
        for _ in range(2):  # the same file twice: pages break between ids of uploads, too
            object_store.begin_parts(version_id, file)
    found = [(one.version_id, one.file) for one in object_store.open_uploads(page_size=2)]
    assert sorted(found) == sorted([*begun, *begun])
    assert object_store.abort_old_parts(timezone.now() - timedelta(hours=1), page_size=2) == 0
    assert object_store.abort_old_parts(timezone.now() + timedelta(hours=1), page_size=2) >= 12
    assert object_store.open_uploads() == []
