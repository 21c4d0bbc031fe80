"""Files that are sent in parts: what is missing is named, and every step may be cut off and repeated."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters import object_store, tasks
from adapters.errors import NotUploaded, StorageUnavailable, VersionMoved
from adapters.models import AdapterVersion, Status
from adapters.object_store import uploads
from adapters.uploads import parts, pipeline, pruner, sessions, storage_quota
from adapters.uploads.upload_request import StyleDescription
from tests.adapters.builders import adapter_files, put_part, storage_down
from tests.adapters.uploads.conftest import keys

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
FIVE_MIB = 5 * 1024 * 1024  # S3 takes no smaller part, the last one excepted

pytestmark = pytest.mark.usefixtures("empty_bucket")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(uploads, "PART_BYTES", FIVE_MIB)
    monkeypatch.setattr(uploads, "MIB", 1)


def large_files():
    """Return an adapter whose weights have three parts; it is no valid one."""
    return {CONFIG: b"{}", WEIGHTS: b"a" * FIVE_MIB + b"b" * FIVE_MIB + b"c" * 10}


def begin(tenant, files, slug="noir"):
    about = StyleDescription(slug=slug, name="Noir")
    sizes = {name: len(content) for name, content in files.items()}
    version, forms = sessions.begin_upload(tenant, None, about, sizes, method="multipart")
    assert forms == []
    return version


def send(version, files, *, only=None):
    """Send the missing parts, or of each file only those with these numbers."""
    for one in parts.look_at_parts(version):
        for url in parts.presign_missing(version, one, only or range(1, one.count + 1)):
            start = (url.number - 1) * one.part_bytes
            assert put_part(url.url, files[one.file][start : start + url.size_bytes]) == 200


def weights_of(version):
    _, weights = parts.look_at_parts(version)
    return weights


def open_uploads():
    return {(upload.version_id, upload.file) for upload in object_store.open_uploads()}


def test_a_style_that_was_sent_in_parts_is_examined_like_any_other(acme, engine):
    files = adapter_files()
    version = begin(acme, files)
    send(version, files)
    sessions.finish_upload(version)
    pipeline.advance_version(version)
    version.refresh_from_db()
    assert version.status == Status.PUSHING, version.findings
    assert version.stored_bytes == sum(map(len, files.values()))
    assert keys(object_store.POSTED) == []
    assert open_uploads() == set()


def test_beginning_sends_nothing_to_the_storage(acme, base_model):
    with storage_down():
        version = begin(acme, large_files())
        with pytest.raises(StorageUnavailable):
            parts.look_at_parts(version)
    assert version.multipart[WEIGHTS] == {"upload_id": "", "part_bytes": FIVE_MIB}
    assert weights_of(version).missing == [1, 2, 3]
    upload_id = AdapterVersion.objects.get().multipart[WEIGHTS]["upload_id"]
    assert upload_id
    assert weights_of(AdapterVersion.objects.get()).upload_id == upload_id


def test_what_is_missing_is_named_and_only_that_is_sent_again(acme, base_model):
    files = large_files()
    version = begin(acme, files)
    send(version, files, only=[2])
    with pytest.raises(NotUploaded, match=r"adapter_config.json \(part 1\) and .*safetensors \(parts 1, 3\)"):
        sessions.finish_upload(version)
    row = AdapterVersion.objects.get()
    assert (row.status, row.handed_in_at) == (Status.UPLOADING, None)
    assert "parts 1, 3" in str(row.note)
    weights = weights_of(version)
    assert list(weights.there) == [2]
    urls = parts.presign_missing(version, weights, range(1, 100))
    assert [(url.number, url.size_bytes) for url in urls] == [(1, FIVE_MIB), (3, 10)]
    send(version, files)
    sessions.finish_upload(version)
    assert AdapterVersion.objects.get().status == Status.UPLOADED


def test_finishing_goes_on_where_a_killed_process_stopped(acme, base_model, monkeypatch):
    files = large_files()
    version = begin(acme, files)
    send(version, files)

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AdapterVersion, "move", killed)
        with pytest.raises(KeyboardInterrupt):
            sessions.finish_upload(version)
    assert object_store.uploaded_size(version.pk, WEIGHTS) == len(files[WEIGHTS])
    row = AdapterVersion.objects.get()
    assert row.status == Status.UPLOADING
    assert all(one.is_complete and one.missing == [] for one in parts.look_at_parts(row))
    for _ in range(2):
        sessions.finish_upload(row)
    assert AdapterVersion.objects.get().status == Status.UPLOADED


def test_an_upload_that_is_finished_while_the_storage_is_away_is_finished_later(acme, base_model):
    files = large_files()
    version = begin(acme, files)
    send(version, files)
    with storage_down():
        sessions.finish_upload(version)
    assert AdapterVersion.objects.get().status == Status.UPLOADING
    pipeline.advance_version(version)
    assert AdapterVersion.objects.get().status != Status.UPLOADING
    assert open_uploads() == set()


def test_a_multipart_upload_that_the_storage_lost_is_begun_again(acme, base_model):
    files = large_files()
    version = begin(acme, files)
    send(version, files)
    lost = weights_of(version)
    object_store.abort_parts(version.pk, WEIGHTS, lost.upload_id)
    with pytest.raises(NotUploaded, match=r"parts 1-3"):
        sessions.finish_upload(version)
    assert weights_of(version).upload_id != lost.upload_id
    send(version, files)
    sessions.finish_upload(version)


def test_a_file_that_gets_another_size_is_refused_and_deleted(acme, base_model, monkeypatch):
    files = large_files()
    version = begin(acme, files)
    send(version, files)
    complete = object_store.complete_parts

    def complete_without_the_last(version_id, file, upload_id, etags):
        first = {number: etag for number, etag in etags.items() if number == 1}
        complete(version_id, file, upload_id, first)

    with monkeypatch.context() as patch:
        patch.setattr(object_store, "complete_parts", complete_without_the_last)
        with pytest.raises(NotUploaded, match=WEIGHTS):
            sessions.finish_upload(version)
    assert object_store.uploaded_size(version.pk, WEIGHTS) is None
    assert weights_of(version).missing == [1, 2, 3]


def test_two_requests_at_once_begin_one_multipart_upload(acme, base_model):
    version = begin(acme, large_files())
    other = AdapterVersion.objects.get()
    config, weights = parts.look_at_parts(version)
    assert [one.upload_id for one in parts.look_at_parts(other)] == [config.upload_id, weights.upload_id]
    assert open_uploads() == {(version.pk, CONFIG), (version.pk, WEIGHTS)}


@pytest.mark.parametrize("end", ["cancel", "abandon", "away"])
def test_what_was_sent_is_deleted_when_the_upload_ends(acme, base_model, end):
    files = large_files()
    version = begin(acme, files)
    send(version, files, only=[1])
    late = parts.presign_missing(version, weights_of(version), [2])[0]
    assert storage_quota.storage_of(acme).used_bytes == sum(map(len, files.values()))
    if end == "cancel":
        sessions.cancel_upload(version)
    elif end == "abandon":
        AdapterVersion.objects.update(created_at=timezone.now() - timedelta(hours=25))
        tasks.advance_all()
    else:
        with storage_down():
            sessions.cancel_upload(version)
        assert len(open_uploads()) == 2
        pruner.prune_storage()
    assert open_uploads() == set()
    assert put_part(late.url, files[WEIGHTS][FIVE_MIB : 2 * FIVE_MIB]) == 404
    assert AdapterVersion.objects.get().status == Status.REJECTED
    assert storage_quota.storage_of(acme).used_bytes == 0
    version.refresh_from_db()
    with pytest.raises(VersionMoved):
        parts.look_at_parts(AdapterVersion.objects.get())
    assert open_uploads() == set()


def test_young_uploads_are_not_abandoned(acme, base_model):
    files = large_files()
    version = begin(acme, files)
    send(version, files, only=[1])
    AdapterVersion.objects.update(created_at=timezone.now() - timedelta(hours=23))
    tasks.advance_all()
    pruner.prune_storage()
    assert list(weights_of(version).there) == [1]


def test_an_upload_whose_parts_fill_the_storage_is_ended(acme, base_model):
    files = {"noir.zip": b"x" * 1000}
    version = begin(acme, files)
    [archive] = parts.look_at_parts(version)
    [url] = parts.presign_missing(version, archive, [1])
    for _ in range(3):
        assert put_part(url.url, files["noir.zip"]) == 200
    pruner.prune_storage()
    assert AdapterVersion.objects.get().status == Status.UPLOADING
    assert put_part(url.url, files["noir.zip"]) == 200
    pruner.prune_storage()
    row = AdapterVersion.objects.get()
    assert (row.status, row.findings[0].code) == (Status.REJECTED, "sent_too_often")
    assert put_part(url.url, files["noir.zip"]) == 404


def test_parts_are_named_shortly():
    assert parts.name_parts([3]) == "part 3"
    assert parts.name_parts([1, 2]) == "parts 1-2"
    assert parts.name_parts([1, 3, 4, 5, 9]) == "parts 1, 3-5, 9"
    assert parts.name_parts(list(range(1, 40, 2))) == "parts 1, 3, 5, 7, 9, 11, 13, 15, …"


def test_the_page_begins_an_upload_in_parts_and_asks_where_they_go(acme, alice_client, base_model, valkey):
    files = large_files()
    body = {
        "slug": "noir",
        "name": "Noir",
        "files": [{"name": name, "size": len(content)} for name, content in files.items()],
        "method": "multipart",
    }
    created = alice_client.post(
        reverse("adapters:create_version"), body, content_type="application/json"
    ).json()
    assert created["uploads"] == []
    upload = alice_client.get(f"{created['status']}?parts=1-10000").json()
    for file in upload["files"]:
        for part in file["part_urls"]:
            start = (part["number"] - 1) * file["part_bytes"]
            assert put_part(part["url"], files[file["name"]][start : start + part["size_bytes"]]) == 200
    finished = alice_client.post(created["finish"], {}, content_type="application/json")
    assert finished.json() == {"page": created["page"]}
    assert AdapterVersion.objects.get().status == Status.UPLOADED
