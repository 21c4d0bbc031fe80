"""What the storage does with parts: it takes exactly the part that was signed, until the upload ends."""

import http.client
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from adapters import object_store
from adapters.errors import NotStored
from adapters.object_store import uploads
from tests.adapters.builders import put_part

MIB = 1024 * 1024
FILE = "adapter_model.safetensors"
S3_SMALLEST_PART = 5 * MIB


@pytest.fixture
def version_id():
    version_id = uuid4()
    yield version_id
    object_store.erase(version_id)


def put_in_chunks(url: str, content: bytes) -> int:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.request("PUT", f"{address.path}?{address.query}", iter([content]), encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return status


def etags_of(parts: list[object_store.StoredPart]) -> dict[int, str]:
    return {part.number: part.etag for part in parts}


def test_parts_are_8_mib_or_so_large_that_10000_suffice():
    parts = {1: 8, 1056 * MIB: 8, 80_000 * MIB: 8, 80_000 * MIB + 1: 9, 500_000 * MIB: 50}
    for size_bytes, part_mib in parts.items():
        assert object_store.part_bytes_for(size_bytes) == part_mib * MIB
        assert -(-size_bytes // (part_mib * MIB)) <= object_store.MAX_PARTS


def test_the_parts_become_one_file_where_a_form_would_have_posted_it(version_id):
    upload_id = object_store.begin_parts(version_id, FILE)
    contents = {1: b"a" * S3_SMALLEST_PART, 2: b"b" * 100}
    for number, content in contents.items():
        url = object_store.presign_part(version_id, FILE, upload_id, number=number, size_bytes=len(content))
        assert put_part(url, content) == 200
    parts = object_store.list_parts(version_id, FILE, upload_id)
    assert [(part.number, part.size_bytes) for part in parts] == [(1, S3_SMALLEST_PART), (2, 100)]
    object_store.complete_parts(version_id, FILE, upload_id, etags_of(parts))
    assert object_store.uploaded_size(version_id, FILE) == S3_SMALLEST_PART + 100
    object_store.seal(version_id, {FILE: S3_SMALLEST_PART + 100})
    with object_store.reading(version_id, FILE) as source:
        assert source.read(S3_SMALLEST_PART - 1, 3) == b"abb"


def test_only_the_signed_length_and_number_are_taken(version_id):
    upload_id = object_store.begin_parts(version_id, FILE)
    url = object_store.presign_part(version_id, FILE, upload_id, number=1, size_bytes=100)
    assert put_part(url, b"x" * 101) == 403
    assert put_part(url, b"x" * 99) == 403
    assert put_in_chunks(url, b"x" * 100) == 403
    assert put_part(url.replace("partNumber=1", "partNumber=2"), b"x" * 100) == 403
    assert object_store.list_parts(version_id, FILE, upload_id) == []
    assert put_part(url, b"x" * 100) == 200


def test_a_url_expires(version_id, monkeypatch):
    monkeypatch.setattr(uploads, "URL_VALID_S", -1)
    upload_id = object_store.begin_parts(version_id, FILE)
    url = object_store.presign_part(version_id, FILE, upload_id, number=1, size_bytes=1)
    assert put_part(url, b"x") in (400, 403)


@pytest.mark.parametrize("end", ["complete", "abort", "erase"])
def test_nothing_can_be_sent_once_the_upload_has_ended(version_id, end):
    upload_id = object_store.begin_parts(version_id, FILE)
    url = object_store.presign_part(version_id, FILE, upload_id, number=1, size_bytes=3)
    assert put_part(url, b"abc") == 200
    if end == "complete":
        parts = object_store.list_parts(version_id, FILE, upload_id)
        object_store.complete_parts(version_id, FILE, upload_id, etags_of(parts))
    elif end == "abort":
        object_store.abort_parts(version_id, FILE, upload_id)
        object_store.abort_parts(version_id, FILE, upload_id)
    else:
        object_store.erase(version_id)
    assert put_part(url, b"xyz") == 404
    with pytest.raises(NotStored):
        object_store.list_parts(version_id, FILE, upload_id)
    assert object_store.uploaded_size(version_id, FILE) == (3 if end == "complete" else None)
    assert version_id not in {upload.version_id for upload in object_store.open_uploads()}


def test_a_part_that_is_sent_again_is_kept_twice_until_the_end(version_id):
    """If this fails, the storage has learned to replace parts, and `pruner` need not count them any more."""
    upload_id = object_store.begin_parts(version_id, FILE)
    url = object_store.presign_part(version_id, FILE, upload_id, number=1, size_bytes=3)
    for content in (b"abc", b"abc", b"xyz"):
        assert put_part(url, content) == 200
    parts = object_store.list_parts(version_id, FILE, upload_id)
    assert [part.number for part in parts] == [1, 1, 1]


def test_parts_are_listed_page_by_page(version_id, monkeypatch):
    monkeypatch.setattr(uploads, "LIST_LIMIT", 2)
    upload_id = object_store.begin_parts(version_id, FILE)
    for number in range(1, 6):
        url = object_store.presign_part(version_id, FILE, upload_id, number=number, size_bytes=1)
        assert put_part(url, b"x") == 200
    parts = object_store.list_parts(version_id, FILE, upload_id)
    assert [part.number for part in parts] == [1, 2, 3, 4, 5]
