"""Uploads over HTTP: begin, send parts, resume, finish, cancel. The storage is a real S3 server."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from adapters import object_store
from adapters.models import AdapterVersion, Status, Style
from adapters.object_store import Upload, uploads
from tenants.models import ApiKey, AuditEntry, Scope, Tenant
from tests.adapters.builders import post, put_part, storage_down
from tests.tenants.builders import issue_key

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
FIVE_MIB = 5 * 1024 * 1024
FILES = {CONFIG: b"{}", WEIGHTS: b"a" * FIVE_MIB + b"b" * 10}
JSON = "application/json"

pytestmark = pytest.mark.usefixtures("valkey")


def program(tenant: Tenant, *scopes: Scope) -> Client:
    """Return a client with a key of a workspace's that has these scopes."""
    _, secret = issue_key(tenant, name=f"key {' '.join(scopes)}", by=None, scopes=list(scopes))
    return Client(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(uploads, "PART_BYTES", FIVE_MIB)


@pytest.fixture
def writer(acme) -> Client:
    return program(acme, Scope.STYLES_READ, Scope.STYLES_WRITE)


@pytest.fixture
def noir(acme, base_model) -> Style:
    return Style.objects.create(owner=acme, slug="noir", name="Noir", base_model=base_model)


def body_of(files=FILES, **changes):
    described = [{"name": name, "size_bytes": len(content)} for name, content in files.items()]
    return {"files": described, "method": "multipart", **changes}


def begin(client: Client, style: str = "acme/noir", **changes):
    return client.post(f"/api/v1/styles/{style}/versions", body_of(**changes), content_type=JSON)


def look(client: Client, version_id: str, parts: str = ""):
    answer = client.get(f"/api/v1/uploads/{version_id}" + (f"?parts={parts}" if parts else ""))
    assert answer.status_code == 200, answer.content
    return answer.json()


def send(upload, files=FILES):
    """Send every part that has a URL; return file and number of each."""
    sent = []
    for file in upload["files"]:
        for part in file["part_urls"]:
            start = (part["number"] - 1) * file["part_bytes"]
            content = files[file["name"]][start : start + part["size_bytes"]]
            assert put_part(part["url"], content) == 200
            sent.append((file["name"], part["number"]))
    return sent


def test_a_style_is_sent_in_parts_and_resumed_without_sending_one_twice(writer, noir):
    created = begin(writer)
    assert created.status_code == 201, created.content
    version = created.json()
    assert (version["number"], version["status"]) == (1, "uploading")
    upload = version["upload"]
    assert [(file["name"], file["part_count"], file["form"]) for file in upload["files"]] == [
        (CONFIG, 1, None),
        (WEIGHTS, 2, None),
    ]
    assert look(writer, upload["id"])["files"][1]["part_urls"] == []
    assert send(look(writer, upload["id"], "1")) == [(CONFIG, 1), (WEIGHTS, 1)]
    early = writer.post(f"/api/v1/uploads/{upload['id']}/finish")
    assert (early.status_code, early.json()["code"]) == (400, "not_uploaded")
    assert f"{WEIGHTS} (part 2)" in early.json()["detail"]

    resumed = look(writer, upload["id"], "1-50")
    assert [file["is_there"] for file in resumed["files"]] == [True, False]
    assert [part["number"] for part in resumed["files"][1]["parts_there"]] == [1]
    assert send(resumed) == [(WEIGHTS, 2)]

    finished = writer.post(f"/api/v1/uploads/{upload['id']}/finish")
    assert (finished.status_code, finished.json()["status"]) == (200, "uploaded")
    assert [step["state"] for step in finished.json()["steps"]][:3] == ["done", "done", "current"]
    assert object_store.uploaded_size(noir.versions.get().pk, WEIGHTS) == len(FILES[WEIGHTS])
    again = writer.post(f"/api/v1/uploads/{upload['id']}/finish")
    assert again.json()["status"] == "uploaded"
    assert look(writer, upload["id"], "1-50")["files"][1]["part_urls"] == []
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["version.created", "upload.finished"]


def test_small_files_are_posted_by_forms_as_before(writer, noir):
    upload = begin(writer, str(noir.pk), method="post").json()["upload"]
    for file in upload["files"]:
        form = Upload(file["name"], **file["form"])
        assert post(form, FILES[file["name"]]) == 204
    shown = look(writer, upload["id"], "1-50")
    assert (shown["method"], [file["is_there"] for file in shown["files"]]) == ("post", [True, True])
    assert writer.post(f"/api/v1/uploads/{upload['id']}/finish").json()["status"] == "uploaded"


def test_an_upload_is_cancelled_and_what_was_sent_is_gone(writer, noir):
    upload = begin(writer).json()["upload"]
    urls = look(writer, upload["id"], "1-2")
    send(urls)
    for _ in range(2):
        answer = writer.delete(f"/api/v1/uploads/{upload['id']}")
        assert (answer.status_code, answer.json()["status"]) == (200, "rejected")
        assert answer.json()["findings"][0]["code"] == "cancelled"
    assert put_part(urls["files"][0]["part_urls"][0]["url"], b"{}") == 404
    for _ in range(2):
        finished = writer.post(f"/api/v1/uploads/{upload['id']}/finish")
        assert (finished.status_code, finished.json()["code"]) == (409, "upload_ended")
        assert finished.json()["detail"] == (
            "The upload was cancelled before it was complete. The uploaded data was deleted. Start a "
            "new upload with the same files."
        )
    assert not AuditEntry.objects.filter(action="upload.finished").exists()
    assert look(writer, upload["id"], "1-2")["files"][0]["part_urls"] == []
    assert AuditEntry.objects.filter(action="upload.aborted").count() == 1


def test_a_page_cancels_an_upload_twice_as_a_program_does(alice_client, writer, noir):
    upload = begin(writer).json()["upload"]
    for _ in range(2):
        page = alice_client.post(reverse("adapters:cancel", args=[upload["id"]]), follow=True).text
        assert "The upload of version 1 was cancelled." in page
    assert AuditEntry.objects.filter(action="upload.aborted").count() == 1


def test_a_key_that_is_revoked_in_mid_upload_gets_no_more_urls_and_those_that_are_out_expire(writer, noir):
    upload = begin(writer).json()["upload"]
    first = look(writer, upload["id"], "1-50")
    assert first["urls_valid_s"] <= 15 * 60
    assert f"X-Amz-Expires={object_store.url_valid_s(10)}&" in first["files"][1]["part_urls"][1]["url"]
    ApiKey.objects.update(revoked_at=timezone.now())
    assert writer.get(f"/api/v1/uploads/{upload['id']}?parts=1-50").status_code == 401
    assert writer.post(f"/api/v1/uploads/{upload['id']}/finish").status_code == 401
    assert AdapterVersion.objects.get().status == Status.UPLOADING


def test_urls_need_the_scope_to_write(acme, writer, noir):
    upload = begin(writer).json()["upload"]
    reader = program(acme, Scope.STYLES_READ)
    assert look(reader, upload["id"])["status"] == "uploading"
    refused = [
        reader.get(f"/api/v1/uploads/{upload['id']}?parts=1-50"),
        reader.post(f"/api/v1/uploads/{upload['id']}/finish"),
        reader.delete(f"/api/v1/uploads/{upload['id']}"),
        begin(reader),
        program(acme, Scope.INFERENCE).get(f"/api/v1/uploads/{upload['id']}"),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {
        (403, "insufficient_scope")
    }


def test_each_bad_field_is_named(writer, noir):
    wrong = [
        ("files", [{"name": CONFIG, "size_bytes": 2}], "files"),
        ("files", [{"name": CONFIG, "size_bytes": 2}] * 2, "files"),
        ("files", [{"name": CONFIG, "size_bytes": -1}], "files.0.size_bytes"),
        ("files", [{"name": "\0", "size_bytes": 1}], "files.0.name"),
        ("files", [{"name": "noir.zip", "size_bytes": 2**61}], "files"),
        ("files", "noir.zip", "files"),
        ("method", "ftp", "method"),
        ("auto_promote", 7, "auto_promote"),
        ("stated_quantisation", "2-bit", "stated_quantisation"),
        ("parts", 7, "parts"),
    ]
    for field, value, named in wrong:
        answer = writer.post(
            "/api/v1/styles/acme/noir/versions", body_of() | {field: value}, content_type=JSON
        )
        assert answer.status_code == 400, answer.content
        assert named in {
            fault["field"].removesuffix(".non_field_errors") for fault in answer.json()["errors"]
        }
    assert not AdapterVersion.objects.exists()


def test_parts_are_asked_for_by_numbers(writer, noir):
    upload = begin(writer).json()["upload"]
    for parts in ("0", "2-1", "1-10001", "a", "1,3", "-1", "1-", "٣", ""):
        answer = writer.get(f"/api/v1/uploads/{upload['id']}", {"parts": parts})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "parts"), parts


def test_a_storage_that_is_away_is_told_and_nothing_is_lost(writer, noir):
    upload = begin(writer).json()["upload"]
    send(look(writer, upload["id"], "1-2"))
    with storage_down():
        answer = writer.get(f"/api/v1/uploads/{upload['id']}?parts=1-2")
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
        assert answer["Retry-After"]
        waiting = writer.post(f"/api/v1/uploads/{upload['id']}/finish")
        assert (waiting.status_code, waiting.json()["status"]) == (200, "uploading")
        assert "can't reach the storage" in waiting.json()["steps"][0]["note"]
    assert writer.post(f"/api/v1/uploads/{upload['id']}/finish").json()["status"] == "uploaded"


def test_people_upload_by_their_session(alice_client, bob_client, noir):
    for client in (alice_client, bob_client):
        upload = begin(client).json()["upload"]
        send(look(client, upload["id"], "1-2"))
        assert client.post(f"/api/v1/uploads/{upload['id']}/finish").status_code == 200
    by = {version.created_by.email for version in noir.versions.all()}
    assert by == {"alice@example.org", "bob@example.org"}
