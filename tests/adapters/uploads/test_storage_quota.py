"""What a workspace may store: bytes, versions, open uploads, uploads an hour; and what is left over goes."""

import io
import zipfile
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from adapters import object_store, tasks
from adapters.errors import PlanFull, UploadRefused, VersionMoved
from adapters.models import AdapterVersion, Status, Style
from adapters.uploads import conversions, pipeline, pruner, sessions, storage_quota
from adapters.uploads.upload_request import StyleDescription
from tenants.models import PlanVersion
from tests.adapters.conftest import adapter_files, begin, post, storage_down, uploaded

MIB = 1024 * 1024
GIB = 1024 * MIB
FREE = {"adapter_config.json": 700, "adapter_model.safetensors": 100}


def limited(**limits: int) -> None:
    PlanVersion.objects.filter(plan="free").update(**limits)


def fault(tenant, slug: str = "noir", **files: int) -> str:
    with pytest.raises(UploadRefused) as refused:
        sessions.begin_upload(tenant, None, StyleDescription(slug=slug, name="Noir"), FREE | files)
    return " ".join(sentence for sentences in refused.value.errors.values() for sentence in sentences)


def keys(prefix: str) -> list[str]:
    return object_store._keys(prefix)


@pytest.fixture(autouse=True)
def empty_bucket(db):
    """Nothing of another test lies in the bucket."""
    for prefix in (object_store.POSTED, object_store.SEALED):
        while found := keys(prefix):
            object_store._delete(found)


def test_sixty_forms_of_a_gigabyte_are_not_to_be_had(acme, base_model):
    """As the audit got them in 3.6 s on the free plan."""
    begun = 0
    for _ in range(60):
        try:
            sessions.begin_upload(acme, None, StyleDescription(slug="noir", name="Noir"), {"noir.zip": GIB})
            begun += 1
        except UploadRefused as error:
            told = " ".join(error.errors["files"])
    assert begun == 2
    assert "Your plan stores 2.0 GB: 2.0 GB are used, and these files have 1.0 GB. Delete versions" in told


def test_open_uploads_are_limited_and_the_way_out_is_told_and_works(acme, alice_client, base_model):
    first, _ = begin(acme, "noir", adapter_files())
    for _ in range(2):
        begin(acme, "noir", adapter_files())
    assert "3 uploads are open, as many as your plan allows at once. Finish one" in fault(acme)
    alice_client.post(reverse("adapters:cancel", args=[first.pk]))
    first.refresh_from_db()
    assert (first.status, first.findings[0]["code"]) == (Status.REJECTED, "cancelled")
    begin(acme, "noir", adapter_files())


def test_what_was_handed_in_is_not_cancelled(acme, engine):
    version = uploaded(acme)
    with pytest.raises(VersionMoved):
        sessions.cancel_upload(version)
    stale = AdapterVersion.objects.get(pk=version.pk)
    stale.handed_in_at = None  # as a page knows it that was read before
    with pytest.raises(VersionMoved):
        sessions.cancel_upload(stale)
    assert pipeline.advance_version(version) is not None
    assert version.status == Status.PUSHING


def test_strangers_cancel_nothing(acme, base_model, charlie_client):
    version, _ = begin(acme, "noir", adapter_files())
    assert charlie_client.post(reverse("adapters:cancel", args=[version.pk])).status_code == 404
    assert AdapterVersion.objects.get().status == Status.UPLOADING


def test_uploads_an_hour_are_limited_also_when_all_are_cancelled(acme, base_model):
    for _ in range(30):
        version, _ = begin(acme, "noir", adapter_files())
        sessions.cancel_upload(version)
    assert "30 uploads were begun within the last hour" in fault(acme)
    AdapterVersion.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    begin(acme, "noir", adapter_files())


def test_versions_are_limited_and_erased_ones_make_room(acme, engine):
    limited(stored_versions=1)
    version = uploaded(acme)
    pipeline.advance_version(version)
    assert "Your plan keeps 1 versions and you have 1" in fault(acme)
    AdapterVersion.objects.update(files_gone_at=timezone.now())
    begin(acme, "noir", adapter_files())


def test_what_is_stored_counts_as_it_really_is(acme, engine):
    files = adapter_files()
    sizes = sum(map(len, files.values()))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr("notes.txt", b"0" * MIB)
    version = uploaded_archive(acme, packed.getvalue())
    assert AdapterVersion.objects.get().stored_bytes == len(packed.getvalue())
    pipeline.advance_version(version)
    version.refresh_from_db()
    assert (version.status, version.stored_bytes) == (Status.PUSHING, sizes)
    assert storage_quota.storage_of(acme).used_bytes == sizes


def uploaded_archive(tenant, content: bytes) -> AdapterVersion:
    about = StyleDescription(slug="noir", name="Noir")
    version, (form,) = sessions.begin_upload(tenant, None, about, {"noir.zip": len(content)})
    assert post(form, content) == 204
    sessions.finish_upload(version)
    return version


def test_an_archive_that_is_larger_than_the_plan_once_unpacked_is_rejected_and_goes(acme, engine):
    files = adapter_files(rank=16)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    limited(stored_bytes=len(packed.getvalue()) + 100)
    version = uploaded_archive(acme, packed.getvalue())
    pipeline.advance_version(version)
    version.refresh_from_db()
    assert (version.status, version.findings[0]["code"]) == (Status.REJECTED, "plan_full")
    assert (
        keys(object_store.sealed_key(version.pk, "")) == keys(object_store.upload_key(version.pk, "")) == []
    )


def test_the_house_has_no_limits(polyscribe, base_model):
    limited(stored_bytes=0, stored_versions=0, open_uploads=0)
    begin(polyscribe, "poetry", adapter_files())


def test_rejected_uploads_do_not_count_against_the_number_of_styles(acme, engine):
    for slug in ("a", "b", "c"):
        pipeline.advance_version(uploaded(acme, slug, adapter_files(base="Llama-3.1-8B")))
    assert set(AdapterVersion.objects.values_list("status", flat=True)) == {Status.REJECTED}
    for slug in ("d", "e", "f"):
        uploaded(acme, slug)
    assert "Your plan holds 3 private styles and you have 3" in fault(acme, "a")  # it would be the fourth
    assert Style.objects.count() == 6


def test_the_upload_page_tells_what_is_used_before_anything_is_chosen(acme, alice_client, base_model):
    sessions.begin_upload(acme, None, StyleDescription(slug="noir", name="Noir"), {"noir.zip": 500_000_000})
    page = alice_client.get(reverse("adapters:upload")).content.decode()
    for told in (
        "0.5 GB of 2.0 GB used",
        "1 of 30 versions",
        "1 of 3 uploads open",
        "1 of 30 begun this hour",
    ):
        assert told in page


def test_the_answer_to_a_refused_upload_names_the_field(acme, alice_client, base_model):
    limited(stored_bytes=10)
    body = {"slug": "noir", "name": "Noir", "files": [{"name": name, "size": 100} for name in FREE]}
    answer = alice_client.post(reverse("adapters:create_version"), body, content_type="application/json")
    assert answer.status_code == 400
    assert "change the plan" in answer.json()["errors"]["files"][0]


# What is left over.


def test_what_was_posted_goes_when_the_upload_is_abandoned_or_cancelled(acme, base_model):
    files = adapter_files()
    begun = [begin(acme, "noir", files) for _ in range(2)]
    for _, forms in begun:
        assert [post(form, files[form.file]) for form in forms] == [204, 204]
    sessions.cancel_upload(begun[0][0])
    AdapterVersion.objects.update(created_at=timezone.now() - timedelta(hours=25))
    sessions.abandon_old_uploads()
    assert keys(object_store.POSTED) == []


@pytest.mark.parametrize("end", ["cancel", "reject", "serve"])
def test_what_is_posted_again_afterwards_goes_with_the_next_pass_and_counts_until_then(acme, engine, end):
    files = adapter_files(base="Llama-3.1-8B" if end == "reject" else engine.base_model.name)
    version, forms = begin(acme, "noir", files)
    for form in forms:
        post(form, files[form.file])
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
    files = adapter_files()
    version, forms = begin(acme, "noir", files)
    for form in forms:
        post(form, files[form.file])
    with storage_down():
        sessions.cancel_upload(version)
    assert len(keys(object_store.POSTED)) == 2
    tasks.prune_storage()
    assert keys(object_store.POSTED) == []


def test_what_is_needed_stays(acme, engine):
    open_, forms = begin(acme, "noir", adapter_files())
    for form in forms:
        post(form, adapter_files()[form.file])
    waiting = uploaded(acme, "odes")
    served = uploaded(acme, "tide")
    pipeline.advance_version(served)
    retired = uploaded(acme, "tide", adapter_files(seed=2))
    pipeline.advance_version(retired)
    AdapterVersion.objects.filter(pk=retired.pk).update(status=Status.RETIRED)
    identity = engine.base_model.identity_id
    object_store.write(identity, "adapter_config.json", [b"{}"])
    before = keys("")
    assert pruner.prune_storage() == 0
    assert keys("") == before
    assert {open_.pk, waiting.pk} == set(object_store.versions(object_store.POSTED, start="", limit=10))
    assert {served.pk, retired.pk, identity} == set(
        object_store.versions(object_store.SEALED, start="", limit=10)
    )


def test_what_is_kept_for_a_conversion_stays_a_week_counts_and_then_goes(acme, engine):
    files = convertible()
    version = uploaded(acme, "noir", files)
    pipeline.advance_version(version)
    assert version.conversions
    assert pruner.prune_storage() == 0
    assert storage_quota.storage_of(acme).used_bytes == sum(map(len, files.values()))
    limited(stored_versions=0)
    with pytest.raises(PlanFull, match="Your plan keeps 0 versions"):
        conversions.begin_conversion(version, None)
    version.history.update(at=timezone.now() - timedelta(days=8))
    conversions.withdraw_old_conversions()
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
    object_store._client().create_multipart_upload(Bucket=settings.S3_BUCKET, Key=key)
    assert object_store.abort_old_parts(timezone.now() - timedelta(hours=1), limit=100) == 0
    assert object_store.abort_old_parts(timezone.now() + timedelta(hours=1), limit=100) >= 1


def test_the_bucket_expires_leftovers_itself_and_keeps_the_rules_of_others(db):
    client, bucket = object_store._client(), settings.S3_BUCKET
    theirs = {"ID": "theirs", "Filter": {"Prefix": "x/"}, "Status": "Enabled", "Expiration": {"Days": 3}}
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [theirs]})
    assert object_store.keep_rules()
    assert object_store.keep_rules()
    rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert [rule["ID"] for rule in rules] == ["theirs", *(rule["ID"] for rule in object_store.RULES)]
