"""A file on its way: it is never whole in memory, and what breaks off leaves nothing."""

import asyncio
import json
import selectors
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.workspaces import create_tenant
from adapters import object_store
from inference.public import BadRequest
from metering.models import PlanVersion
from tests.tenants.builders import issue_key
from tests.waiting import eventually
from training import files
from training.models import File
from training.openai_api import streaming
from training.openai_api.file_views import READ_BYTES, Form
from training.openai_api.shapes import UploadTooSlow
from training.openai_api.streaming import Uploads

MIB = 1024**2
BOUNDARY = "xYzZY"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="chats.jsonl"\r\n\r\n'
).encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


@pytest.fixture
def secret(acme) -> str:
    PlanVersion.objects.update(stored_bytes=10**9)
    return issue_key(acme, name="laptop", by=None, scopes=["styles:write"])[1]


@contextmanager
def begin(address: str, secret: str, length: int) -> Iterator[HTTPConnection]:
    """Send the head of an upload of so many bytes."""
    connection = HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", "/v1/files")
    connection.putheader("Authorization", f"Bearer {secret}")
    connection.putheader("Content-Type", CONTENT_TYPE)
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    with closing(connection):
        yield connection


def test_a_file_of_many_megabytes_is_never_whole_in_memory(address, secret):
    size = 60 * MIB
    part = b"x" * MIB
    with begin(address, secret, len(HEAD) + len(TAIL)) as connection:  # what a first upload imports stays
        connection.send(HEAD + TAIL)
        connection.getresponse().close()
    File.objects.all().delete()
    with begin(address, secret, len(HEAD) + size + len(TAIL)) as connection:
        tracemalloc.start()
        connection.send(HEAD)
        for _ in range(size // MIB):
            connection.send(part)
        connection.send(TAIL)
        answer = connection.getresponse()
        _, most_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert answer.status == 200
        answer.close()
    assert most_bytes < 40 * MIB
    file = File.objects.get()
    assert object_store.stored_bytes(files.key_of(file.pk)) == file.size_bytes == size


@pytest.mark.parametrize(
    ("key", "length", "refusal"),
    [
        ("", 202 * MIB, (400, "file_too_large")),
        ("", 150 * MIB, (409, "storage_full")),
        ("sk-ps-wrong", MIB, (401, "invalid_api_key")),
    ],
)
def test_what_can_not_be_taken_is_refused_before_it_is_sent(address, secret, key, length, refusal):
    PlanVersion.objects.update(stored_bytes=100 * MIB)
    with begin(address, key or secret, length) as connection:
        connection.send(HEAD)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == refusal
    assert not File.objects.exists()


def test_an_upload_that_breaks_off_leaves_nothing(address, secret):
    with begin(address, secret, 20 * MIB) as connection:
        connection.send(HEAD + b"x" * MIB)
        eventually(File.objects.exists)
        key = files.key_of(File.objects.get().pk)
        connection.sock.shutdown(socket.SHUT_RDWR)
    eventually(lambda: not File.objects.exists())
    assert object_store.stored_bytes(key) is None


def test_an_upload_that_pauses_for_long_gives_its_place_back_and_leaves_nothing(address, secret, monkeypatch):
    with begin(address, secret, 20 * MIB) as connection:
        connection.send(HEAD + b"x" * MIB)
        eventually(File.objects.exists)
        monkeypatch.setattr(streaming, "CREDIT_S", 0.5)
        connection.send(b"x" * MIB)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (400, "upload_too_slow")
        eventually(lambda: not File.objects.exists())


def skipping_loop() -> asyncio.SelectorEventLoop:
    """Return a loop whose clock moves only by waiting, and at once, however slow the machine is."""
    now_s = 0.0

    class Skipping(selectors.SelectSelector):
        def select(self, timeout=None):
            nonlocal now_s
            ready = super().select(0)
            now_s += 0 if ready else timeout or 0
            return ready

    loop = asyncio.SelectorEventLoop(Skipping())
    loop.time = lambda: now_s
    return loop


def test_a_slow_upload_ends_and_a_fast_one_earns_no_long_pause(monkeypatch):
    monkeypatch.setattr(streaming, "CREDIT_S", 0.3)

    async def read_at(chunk: bytes, *, every_s: float) -> int:
        async def receive() -> dict[str, object]:
            await asyncio.sleep(every_s)
            return {"type": "http.request", "body": chunk, "more_body": True}

        body = streaming.StreamedBody(receive)
        for number in range(20):
            try:
                await body.begin()
            except UploadTooSlow:
                return number
        return 20

    with asyncio.Runner(loop_factory=skipping_loop) as runner:
        assert runner.run(read_at(b"x", every_s=0.05)) < 8
        assert runner.run(read_at(b"x" * 4 * 1024, every_s=0.05)) == 20, "80 KiB/s"
        assert runner.run(read_at(b"x" * MIB, every_s=0.4)) == 0


def ask_at_once(uploads: Uploads, receive) -> list[dict[str, object]]:
    """Return what an app answers a request whose body comes by `receive`."""
    answers = []

    async def ask() -> None:
        async def send(message) -> None:
            answers.append(message)

        await uploads({}, receive, send)

    asyncio.run(ask())
    return answers


def test_more_uploads_than_fit_wait_for_another_time():
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": HEAD, "more_body": True}

    head, _ = ask_at_once(Uploads(most_at_once=0), receive)
    assert head["status"] == 503
    assert (b"retry-after", b"2") in head["headers"]


def test_a_request_that_sends_nothing_takes_no_place(monkeypatch):
    monkeypatch.setattr(streaming, "CREDIT_S", 0.1)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(60)
        raise AssertionError

    head, body = ask_at_once(Uploads(most_at_once=0), receive)
    assert head["status"] == 400
    assert b"upload_too_slow" in body["body"]


def test_a_person_sends_two_files_at_once_in_whichever_workspaces(address, secret, acme, alice):
    other = create_tenant(alice, name="Another")
    secrets = [
        issue_key(tenant, name="laptop", by=alice, scopes=["styles:write"])[1]
        for tenant in (acme, acme, other)
    ]
    with ExitStack() as stack:
        for number, key in enumerate(secrets[:2], start=1):
            stack.enter_context(begin(address, key, MIB)).send(HEAD)
            eventually(lambda number=number: File.objects.count() == number)
        third = stack.enter_context(begin(address, secrets[2], MIB))
        third.send(HEAD)
        answer = third.getresponse()
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        of_another = stack.enter_context(begin(address, secret, len(HEAD + TAIL)))
        of_another.send(HEAD + TAIL)
        assert of_another.getresponse().status == 200
    eventually(lambda: File.objects.count() == 1)


@given(
    content=st.binary(max_size=3 * READ_BYTES),
    size=st.integers(1, READ_BYTES),
    fields=st.dictionaries(
        st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=100),
        max_size=4,
    ),
    is_first=st.booleans(),
)
def test_a_form_gives_back_what_was_put_in(content, size, fields, is_first):
    fields.pop("file", None)
    written = [_part(f'name="{name}"', value.encode()) for name, value in fields.items()]
    file = _part('name="file"; filename="a.jsonl"', content)
    if BOUNDARY.encode() in b"".join([*written, content]):
        return
    body = b"".join([file, *written] if is_first else [*written, file]) + f"--{BOUNDARY}--\r\n".encode()
    form = Form(CONTENT_TYPE, _reader(body, size))
    part = form.read_to_file()
    assert part.file_name == "a.jsonl"
    assert b"".join(form.read_file()) == content
    form.read_rest()
    assert form.fields == fields


def test_a_name_that_can_not_be_stored_loses_what_can_not():
    form = Form(CONTENT_TYPE, _reader(_part('name="file"; filename="a\0b.jsonl"', b"x"), READ_BYTES))
    assert form.read_to_file().file_name == "a\ufffdb.jsonl"


@given(body=st.binary(max_size=2000), size=st.integers(1, 500))
def test_a_body_that_is_no_form_is_refused(body, size):
    form = Form(CONTENT_TYPE, _reader(body, size))
    with pytest.raises(BadRequest):
        form.read_to_file()


def _part(names: str, content: bytes) -> bytes:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {names}\r\n\r\n".encode() + content + b"\r\n"


def _reader(body: bytes, size: int):
    """Return a function that reads a body a few bytes at a time."""
    position = 0

    def read(most: int) -> bytes:
        nonlocal position
        chunk = body[position : position + min(size, most)]
        position += len(chunk)
        return chunk

    return read
