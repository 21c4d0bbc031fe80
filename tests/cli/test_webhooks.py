"""Endpoints; and events that are passed on to this machine, once each and signed as deliveries are."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
from standardwebhooks import Webhook

from events.models import OutboxEvent, WebhookDelivery, WebhookEndpoint
from tenants.models import Tenant
from tests.cli.service import FORWARD

NOON = datetime(2101, 1, 1, 12, tzinfo=UTC)  # its clock is wrong
URL = "https://example.com/hook"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def record(tenant: Tenant, event_type: str = "version.serving", *, at_s: float = 0) -> None:
    """Let something happen in the workspace, so many seconds after noon by the service's clock."""
    at = NOON + timedelta(seconds=at_s)
    thing = {"name": "Brand voice — “live”"}
    OutboxEvent.objects.create(tenant=tenant, type=event_type, object=thing, created_at=at)


@pytest.fixture
def listen(logged_in, service):
    """Listen until all has happened; return what the command printed."""
    service.is_interrupted_at_the_end = True
    return partial(logged_in, "webhooks", "listen", "--forward", FORWARD)


def test_each_event_is_passed_on_once_in_order_and_verifies(listen, service, client, acme):
    record(acme, at_s=-1)  # before: it is not passed on
    later = [partial(record, acme, at_s=100), partial(record, acme, "key.revoked", at_s=200)]
    service.happens = [*later, lambda: None]

    done = listen("--secret", SECRET)

    assert done.code == 130
    sent = list(client.pages("/events", {"since": NOON.isoformat()}))[::-1]
    assert [request.headers["webhook-id"] for request in service.received] == [event["id"] for event in sent]
    for request, event in zip(service.received, sent, strict=True):
        assert request.url == FORWARD
        verified = Webhook(SECRET).verify(request.content, dict(request.headers))
        assert verified == {name: event[name] for name in ("type", "timestamp", "id", "data")}
    assert [line.split()[1] for line in done.out.splitlines()] == ["version.serving", "key.revoked"]
    assert "→ 204" in done.out


def test_an_event_that_turns_up_late_is_passed_on(listen, service, acme):
    """Its transaction ended after that of a younger one."""
    service.happens = [partial(record, acme, at_s=9), partial(record, acme, at_s=8)]

    listen()

    assert len(service.received) == 2


def test_only_the_types_that_are_asked_for_are_passed_on(listen, service, acme):
    service.happens = [partial(record, acme), partial(record, acme, "key.revoked")]

    done = listen("--event", "key.revoked", "--json")

    [line] = done.out.splitlines()
    assert json.loads(line)["event"]["type"] == "key.revoked"
    assert len(service.received) == 1


def test_a_receiver_that_is_not_there_is_told_and_listening_goes_on(listen, service, acme):
    def refuse(request: httpx.Request) -> httpx.Response:
        service.received.append(request)
        raise httpx.ConnectError("[Errno 111] Connection refused")

    service.receive = refuse
    service.happens = [partial(record, acme), partial(record, acme)]

    done = listen()

    assert len(service.received) == 2
    assert done.out.count("→ Connection refused") == 2


def test_a_new_secret_is_made_and_told_where_none_is_given(listen, service, acme):
    service.happens = [partial(record, acme)]

    done = listen()

    secret = next(word for word in done.err.split() if word.startswith("whsec_")).rstrip(",")
    [request] = service.received
    assert Webhook(secret).verify(request.content, dict(request.headers))
    assert secret not in done.out


def test_endpoints_are_listed_created_and_deleted_and_the_secret_is_told_once(logged_in):
    done = logged_in("webhooks", "create", URL, "--event", "key.created")
    assert done.out.startswith("whsec_")
    assert done.out.strip() not in done.err
    listed = logged_in("webhooks", "list").out
    assert URL in listed
    assert done.out.strip() not in listed
    assert logged_in("webhooks", "delete", URL, "--yes").code == 0
    assert not WebhookEndpoint.objects.exists()


def test_a_test_waits_for_the_answer_of_the_endpoint(logged_in, service):
    def answer(**facts: object) -> None:
        WebhookDelivery.objects.update(attempts=1, **facts)

    assert logged_in("webhooks", "create", URL).code == 0
    service.happens = [partial(answer, status="delivered", status_code=200, latency_ms=84)]
    done = logged_in("webhooks", "trigger", URL)
    assert (done.code, done.out) == (0, "The endpoint returned 200 after 84 ms.\n")

    service.happens = [partial(answer, status="pending", failure="The endpoint returned 500.")]
    done = logged_in("webhooks", "trigger", URL)
    assert done.code == 1
    assert "The endpoint returned 500" in done.err
