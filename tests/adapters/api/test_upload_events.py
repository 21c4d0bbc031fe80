"""An upload's steps as server-sent events, by a real ASGI server."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from django.db import connections

from adapters.api.uploads import StreamLimits, UploadViewSet
from adapters.errors import Finding
from adapters.models import AdapterVersion, Status, Style, UploadNote
from config.asgi import django_app
from core import valkey as valkey_names
from tenants.models import Scope
from tests.tenants.builders import issue_key
from tests.waiting import PATIENCE_S, eventually

QUICK = StreamLimits(poll_s=0.05, heartbeat_s=0.1, max_stream_s=30, per_workspace=20)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]


class Stream:
    """One open stream of events."""

    def __init__(self, port: int, path: str, secret: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        headers = {"Authorization": f"Bearer {secret}", "Accept": "text/event-stream"}
        self.connection.request("GET", path, headers=headers)
        self.response = self.connection.getresponse()

    def blocks(self) -> Iterator[list[str]]:
        """Yield the lines of each event or comment."""
        lines: list[str] = []
        while line := self.response.readline():
            if text := line.decode().rstrip("\n"):
                lines.append(text)
            else:
                yield lines
                lines = []

    def events(self) -> Iterator[tuple[str, dict]]:
        """Yield (name, data) of each event."""
        for lines in self.blocks():
            if lines[0].startswith("event: "):
                yield lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))

    def close(self) -> None:
        self.response.close()
        self.connection.close()


@pytest.fixture
def port(monkeypatch) -> Iterator[int]:
    """The site under uvicorn, in a thread."""
    monkeypatch.setattr(UploadViewSet, "stream_limits", QUICK)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(django_app, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    eventually(lambda: server.started)
    yield listening.getsockname()[1]
    server.should_exit = True
    server.force_exit = True
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


@pytest.fixture
def version(acme, base_model) -> AdapterVersion:
    style = Style.objects.create(owner=acme, slug="noir", name="Noir", base_model=base_model)
    version = style.versions.create(number=1, files={"noir.zip": 1000})
    version.history.create(status=Status.UPLOADING)
    return version


@pytest.fixture
def secret(acme) -> str:
    return issue_key(acme, name="watcher", by=None, scopes=[Scope.STYLES_READ])[1]


@contextmanager
def streams(port: int, version: AdapterVersion, secret: str, count: int = 1) -> Iterator[list[Stream]]:
    path = f"/api/v1/uploads/{version.pk}/events"
    opened = [Stream(port, path, secret) for _ in range(count)]
    yield opened
    for stream in opened:
        stream.close()


def places(version: AdapterVersion) -> int:
    return valkey_names.client().zcard(f"streams:{version.style.owner_id}")


def test_each_step_is_told_and_then_the_end(port, version, secret):
    with streams(port, version, secret) as [stream]:
        assert stream.response.status == 200
        assert stream.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["Cache-Control"] == "no-store"
        events = stream.events()
        name, upload = next(events)
        assert (name, upload["status"], upload["steps"][0]["state"]) == ("step", "uploading", "current")
        version.move(before=Status.UPLOADING, after=Status.UPLOADED)
        name, upload = next(events)
        assert (name, upload["status"], upload["steps"][1]["state"]) == ("step", "uploaded", "done")
        version.wait(UploadNote.ANOTHER_FIRST())
        assert next(events)[1]["steps"][2]["note"].startswith("Another upload")
        version.move(before=Status.UPLOADED, after=Status.REJECTED, findings=[Finding("weights_empty")])
        ends = list(events)
        assert [name for name, _ in ends] == ["step", "end"]
        [finding] = ends[1][1]["findings"]
        assert finding["sentence"] == "adapter_model.safetensors is empty."
    eventually(lambda: places(version) == 0)


def test_more_streams_than_connections_to_the_database(port, version, secret):
    pool_size = connections["default"].settings_dict["OPTIONS"]["pool"]["max_size"]
    with streams(port, version, secret, count=pool_size + 4) as opened:
        watched = [stream.events() for stream in opened]
        assert [next(events)[1]["status"] for events in watched] == ["uploading"] * len(opened)
        version.move(before=Status.UPLOADING, after=Status.REJECTED)
        for events in watched:
            assert [name for name, _ in events] == ["step", "end"]


def test_a_silent_stream_sends_heartbeats_and_ends_in_time(port, version, secret, monkeypatch):
    limits = StreamLimits(poll_s=0.05, heartbeat_s=0.1, max_stream_s=2)
    monkeypatch.setattr(UploadViewSet, "stream_limits", limits)
    began_at = time.monotonic()
    with streams(port, version, secret) as [stream]:
        blocks = list(stream.blocks())
    assert blocks[0][0] == "event: step"
    assert len(blocks) >= 3
    assert {lines[0] for lines in blocks[1:]} == {": still here"}
    assert 1.9 < time.monotonic() - began_at < QUICK.max_stream_s
    eventually(lambda: places(version) == 0)


def test_a_workspace_has_so_many_streams_and_a_closed_one_makes_room(port, version, secret, monkeypatch):
    monkeypatch.setattr(UploadViewSet, "stream_limits", StreamLimits(poll_s=0.05, per_workspace=2))
    with streams(port, version, secret, count=2) as opened:
        for stream in opened:
            next(stream.events())
        with streams(port, version, secret) as [refused]:
            problem = json.loads(refused.response.read())
            assert (refused.response.status, problem["code"]) == (429, "too_many_streams")
            assert refused.response.headers["Content-Type"] == "application/problem+json"
            assert refused.response.headers["Retry-After"]
        opened[0].close()
        eventually(lambda: places(version) == 1)
        with streams(port, version, secret) as [stream]:
            assert next(stream.events())[0] == "step"


def test_a_place_of_a_killed_process_is_free_again(port, version, secret, monkeypatch):
    monkeypatch.setattr(UploadViewSet, "stream_limits", StreamLimits(poll_s=0.05, per_workspace=1))
    key = f"streams:{version.style.owner_id}"
    valkey_names.client().zadd(key, {"killed": time.time() + 100})
    with streams(port, version, secret) as [refused]:
        assert refused.response.status == 429
    valkey_names.client().zadd(key, {"killed": time.time() - 1})
    with streams(port, version, secret) as [stream]:
        assert stream.response.status == 200


def test_only_keys_that_may_read_watch(port, version, acme):
    _, secret = issue_key(acme, name="writer", by=None, scopes=[Scope.INFERENCE])
    with streams(port, version, secret) as [stream]:
        assert stream.response.status == 403
        assert json.loads(stream.response.read())["code"] == "insufficient_scope"
