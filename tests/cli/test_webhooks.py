"""Endpoints; and events that are passed on to this machine, once each and signed as deliveries are."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import httpx
import pytest
from standardwebhooks import Webhook

from tests.cli.fake_service import ENDPOINT, WEBHOOK_SECRET

NOON = datetime(2001, 1, 1, 12, tzinfo=UTC)  # its clock is wrong, too
FORWARD = "http://localhost:9000/hook"


def record(service, event_type: str = "version.serving", *, at_s: float = 0) -> None:
    """Let something happen in the workspace, so many seconds after noon by the service's clock."""
    timestamp = (NOON + timedelta(seconds=at_s)).isoformat()
    data = {"object": {"name": "Brand voice — “live”"}}
    service.events.append(
        {"id": str(uuid4()), "object": "event", "type": event_type, "timestamp": timestamp, "data": data}
    )


@pytest.fixture
def listen(logged_in, service):
    """Listen until all has happened; return what the command printed."""
    service.is_interrupted_at_the_end = True
    return partial(logged_in, "webhooks", "listen", "--forward", FORWARD)


def test_each_event_is_passed_on_once_in_order_and_verifies(listen, service):
    record(service, at_s=-1)  # before: it is not passed on
    later = [partial(record, service, at_s=100), partial(record, service, "key.revoked", at_s=200)]
    service.happens = [*later, lambda: None]

    done = listen("--secret", WEBHOOK_SECRET)

    assert done.code == 130
    sent = service.events[1:]
    assert [request.headers["webhook-id"] for request in service.received] == [event["id"] for event in sent]
    for request, event in zip(service.received, sent, strict=True):
        assert request.url == FORWARD
        verified = Webhook(WEBHOOK_SECRET).verify(request.content, dict(request.headers))
        assert verified == {name: event[name] for name in ("type", "timestamp", "id", "data")}
    assert [line.split()[1] for line in done.out.splitlines()] == ["version.serving", "key.revoked"]
    assert "→ 204" in done.out


def test_an_event_that_turns_up_late_is_passed_on(listen, service):
    """Its transaction ended after that of a younger one."""
    service.happens = [partial(record, service, at_s=9), partial(record, service, at_s=8)]

    listen()

    assert len(service.received) == 2


def test_only_the_types_that_are_asked_for_are_passed_on(listen, service):
    service.happens = [partial(record, service), partial(record, service, "key.revoked")]

    done = listen("--event", "key.revoked", "--json")

    [line] = done.out.splitlines()
    assert json.loads(line)["event"]["type"] == "key.revoked"
    assert len(service.received) == 1


def test_a_receiver_that_is_not_there_is_told_and_listening_goes_on(listen, service):
    def refuse(request: httpx.Request) -> httpx.Response:
        service.received.append(request)
        raise httpx.ConnectError("[Errno 111] Connection refused")

    service.receive = refuse
    service.happens = [partial(record, service), partial(record, service)]

    done = listen()

    assert len(service.received) == 2
    assert done.out.count("→ Connection refused") == 2


def test_a_new_secret_is_made_and_told_where_none_is_given(listen, service):
    service.happens = [partial(record, service)]

    done = listen()

    secret = next(word for word in done.err.split() if word.startswith("whsec_")).rstrip(",")
    [request] = service.received
    assert Webhook(secret).verify(request.content, dict(request.headers))
    assert secret not in done.out


@pytest.mark.parametrize("secret", ["whsec_?", "whsec_abc", "sk-ps-xyz"])
def test_a_secret_that_is_none_is_a_fault_of_usage(logged_in, secret):
    assert logged_in("webhooks", "listen", "--forward", FORWARD, "--secret", secret).code == 2


def test_an_address_that_is_none_is_a_fault_of_usage(logged_in):
    assert logged_in("webhooks", "listen", "--forward", "localhost:9000").code == 2


def test_endpoints_are_listed_and_created_with_a_secret_that_is_told_once(logged_in):
    assert ENDPOINT["url"] in logged_in("webhooks", "list").out

    done = logged_in("webhooks", "create", "https://example.com/hook", "--event", "key.created")
    assert done.out == f"{WEBHOOK_SECRET}\n"
    assert WEBHOOK_SECRET not in done.err
    assert logged_in("webhooks", "delete", ENDPOINT["id"], "--yes").code == 0


def test_a_test_waits_for_the_answer_of_the_endpoint(logged_in, service):
    done = logged_in("webhooks", "test", ENDPOINT["id"])
    assert (done.code, done.out) == (0, "The endpoint returned 200 after 84 ms.\n")

    service.delivery = {"status": "pending", "attempts": 1, "failure": "The endpoint returned 500."}
    done = logged_in("webhooks", "test", ENDPOINT["id"])
    assert done.code == 1
    assert "The endpoint returned 500" in done.err
