"""Actions on endpoints: bounds, the audit log, secrets, tests, redelivery, pruning."""

from datetime import timedelta

import pytest
from django.utils import timezone

from events import tasks
from events.models import EventType, OutboxEvent, WebhookDelivery, WebhookEndpoint
from events.webhooks import delivery, endpoints
from events.webhooks.transport import BadUrl, RefusedAddress
from operations.retention import delete_old
from tenants.models import AuditEntry
from tests.events.webhooks.conftest import LIMITS, answering
from tests.racing import race

pytestmark = pytest.mark.django_db

Status = WebhookDelivery.Status
URL = "https://example.com/hooks"


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


def test_an_endpoint_is_made_with_a_secret_that_is_stored_unreadable(owner, acme, alice):
    endpoint, secret = endpoints.create_endpoint(
        owner, url=URL, description="Chat", event_types=["key.revoked", "key.created", "key.created"]
    )
    endpoint.refresh_from_db()
    assert (endpoint.tenant, endpoint.created_by, endpoint.is_enabled) == (acme, alice, True)
    assert endpoint.event_types == ["key.created", "key.revoked"]
    assert delivery.unseal_secret(endpoint.sealed_secret) == secret
    assert secret[6:] not in endpoint.sealed_secret
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.tenant) == ("webhook_endpoint.created", alice, acme)
    assert secret not in str(entry.after)


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"url": "ftp://example.com"}, BadUrl),
        ({"url": "https://10.0.0.1/"}, RefusedAddress),
        ({"url": URL, "event_types": ["key.eaten"]}, endpoints.UnknownEventType),
        ({"url": URL, "event_types": ["webhook.test"]}, endpoints.UnknownEventType),
    ],
)
def test_what_cant_be_an_endpoint_makes_none(owner, facts, error):
    with pytest.raises(error) as raised:
        endpoints.create_endpoint(owner, **facts)
    assert raised.value.facts["field"] in facts
    assert not WebhookEndpoint.objects.exists()
    assert actions() == []


def test_one_address_has_one_endpoint_and_a_workspace_has_ten(owner, stranger):
    endpoint, _ = endpoints.create_endpoint(owner, url=URL)
    with pytest.raises(endpoints.UrlTaken):
        endpoints.create_endpoint(owner, url=URL)
    for number in range(9):
        endpoints.create_endpoint(owner, url=f"{URL}/{number}")
    with pytest.raises(endpoints.TooManyEndpoints, match="at most 10"):
        endpoints.create_endpoint(owner, url=f"{URL}/10")
    endpoints.create_endpoint(stranger, url=URL)
    with pytest.raises(endpoints.UrlTaken):
        endpoints.edit_endpoint(endpoint, by=owner, url=f"{URL}/1")
    endpoints.delete_endpoint(endpoint, by=owner)
    endpoints.create_endpoint(owner, url=URL)


@pytest.mark.django_db(transaction=True)
def test_ten_is_the_limit_for_requests_at_the_same_moment_too(owner):
    for number in range(9):
        endpoints.create_endpoint(owner, url=f"{URL}/{number}")

    more = iter(range(9, 13))

    def create() -> str:
        try:
            endpoints.create_endpoint(owner, url=f"{URL}/{next(more)}")
        except endpoints.TooManyEndpoints:
            return "refused"
        return "made"

    assert sorted(race(*[create] * 4)) == ["made", "refused", "refused", "refused"]


def test_an_edit_changes_what_it_names_and_is_in_the_log(owner):
    endpoint, _ = endpoints.create_endpoint(owner, url=URL, description="Chat")
    endpoints.edit_endpoint(endpoint, by=owner, event_types=["key.created"])
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.description, endpoint.event_types) == (URL, "Chat", ["key.created"])
    entry = AuditEntry.objects.latest("pk")
    assert (entry.before, entry.after) == ({"event_types": []}, {"event_types": ["key.created"]})
    with pytest.raises(RefusedAddress):
        endpoints.edit_endpoint(endpoint, by=owner, url="https://192.168.0.1/")
    endpoint.refresh_from_db()
    assert endpoint.url == URL


def test_a_test_goes_to_that_endpoint_alone_whatever_it_wants(
    owner, receiver, new_receiver, new_endpoint, happen
):
    endpoint = new_endpoint(receiver, event_types=[EventType.KEY_CREATED])
    new_endpoint(new_receiver())
    sent = endpoints.send_test(endpoint, by=owner)
    assert delivery.deliver_due(LIMITS) == 1
    assert receiver.event_ids == [str(sent.event_id)]
    assert '"type":"webhook.test"' in receiver.received[0].body


def test_a_delivery_is_sent_again_under_its_id_behind_what_waits(owner, receiver, new_endpoint, happen):
    endpoint = new_endpoint(receiver)
    first = happen()
    delivery.deliver_due(LIMITS)
    second = happen()
    again = endpoints.redeliver(endpoint.deliveries.get(event=first), by=owner)
    assert (again.event, again.status) == (first, Status.PENDING)
    delivery.deliver_due(LIMITS)
    assert receiver.event_ids == [str(event.pk) for event in (first, second, first)]
    assert endpoint.deliveries.filter(event=first, status=Status.DELIVERED).count() == 2
    assert actions()[-1] == "webhook_endpoint.redelivered"


def test_what_waits_for_its_next_attempt_is_sent_now(owner, new_receiver, new_endpoint, happen):
    receiver = new_receiver(answering(500), answering(200))
    endpoint = new_endpoint(receiver)
    happen()
    delivery.deliver_due(LIMITS)
    waiting = endpoint.deliveries.get()
    assert endpoints.redeliver(waiting, by=owner) == waiting
    assert delivery.deliver_due(LIMITS) == 1
    waiting.refresh_from_db()
    assert (waiting.status, waiting.attempts) == (Status.DELIVERED, 2)


def test_a_test_of_a_mended_server_comes_first_and_brings_what_waited(
    owner, new_receiver, new_endpoint, happen
):
    receiver = new_receiver(answering(500), answering(200))
    endpoint = new_endpoint(receiver)
    waiting = [happen(), happen()]
    delivery.deliver_due(LIMITS)
    sent = endpoints.send_test(endpoint, by=owner)
    assert delivery.deliver_due(LIMITS) == 3
    ids = [str(event.pk) for event in (waiting[0], sent.event, *waiting)]
    assert receiver.event_ids == ids


def test_a_test_waits_behind_no_failed_event_and_nothing_waits_behind_it(
    owner, new_receiver, new_endpoint, happen, clock
):
    receiver = new_receiver(answering(500), answering(500), answering(200))
    endpoint = new_endpoint(receiver)
    event = happen()
    delivery.deliver_due(LIMITS)
    sent = endpoints.send_test(endpoint, by=owner)
    endpoint.deliveries.filter(event=event).update(next_attempt_at=clock.at + timedelta(hours=1))
    assert delivery.deliver_due(LIMITS) == 1
    assert receiver.event_ids[1:] == [str(sent.event_id)]
    endpoint.deliveries.filter(event=event).update(next_attempt_at=clock.at)
    assert delivery.deliver_due(LIMITS) == 1  # the test failed, and waits by itself
    assert receiver.event_ids[2:] == [str(event.pk)]


def test_a_new_address_is_tried_at_once(owner, new_receiver, receiver, new_endpoint, happen):
    endpoint = new_endpoint(new_receiver(answering(500)))
    event = happen()
    delivery.deliver_due(LIMITS)
    endpoints.edit_endpoint(endpoint, by=owner, url=receiver.url)
    assert delivery.deliver_due(LIMITS) == 1
    assert receiver.event_ids == [str(event.pk)]


def test_a_disabled_endpoint_gets_nothing_until_it_is_enabled(owner, alice, receiver, new_endpoint, happen):
    endpoint = new_endpoint(receiver)
    given_up = happen()
    endpoints.disable_endpoint(endpoint, by=owner)
    endpoints.disable_endpoint(endpoint, by=owner)
    happen()
    row = endpoint.deliveries.get()
    assert (row.event, row.status) == (given_up, Status.FAILED)
    assert (endpoint.is_enabled, endpoint.disabled_reason) == (False, f"Disabled by {alice.email}.")
    for action in (endpoints.send_test, lambda _, by: endpoints.redeliver(row, by=by)):
        with pytest.raises(endpoints.EndpointDisabled):
            action(endpoint, by=owner)
    endpoints.enable_endpoint(endpoint, by=owner)
    endpoints.enable_endpoint(endpoint, by=owner)
    endpoints.redeliver(row, by=owner)
    later = happen()
    delivery.deliver_due(LIMITS)
    assert receiver.event_ids == [str(given_up.pk), str(later.pk)]
    assert (endpoint.is_enabled, endpoint.disabled_at, endpoint.disabled_reason) == (True, None, "")
    assert actions() == [
        f"webhook_endpoint.{name}" for name in ("created", "disabled", "enabled", "redelivered")
    ]


def test_events_and_deliveries_are_kept_for_a_month(receiver, new_endpoint, happen):
    endpoint = new_endpoint(receiver)
    old, young = happen(), happen()
    month = timezone.now() - timedelta(days=30)
    OutboxEvent.objects.filter(pk=old.pk).update(created_at=month - timedelta(minutes=1))
    OutboxEvent.objects.filter(pk=young.pk).update(created_at=month + timedelta(minutes=1))
    delete_old("OutboxEvent", timezone.now())
    assert OutboxEvent.objects.get() == young
    assert endpoint.deliveries.get().event == young


def test_a_replaced_secret_is_forgotten_after_its_day(owner, clock):
    endpoint, _ = endpoints.create_endpoint(owner, url=URL)
    endpoints.rotate_secret(endpoint, by=owner)
    delete_old("WebhookEndpoint", timezone.now())
    endpoint.refresh_from_db()
    assert endpoint.sealed_previous_secret
    clock.move(hours=24, seconds=1)
    delete_old("WebhookEndpoint", timezone.now())
    endpoint.refresh_from_db()
    assert (endpoint.sealed_previous_secret, endpoint.previous_secret_until) == ("", None)


def test_the_sweep_wakes_a_thread_for_each_endpoint_that_has_something_to_get(
    receiver, new_receiver, new_endpoint, happen, monkeypatch
):
    woken = []
    monkeypatch.setattr(tasks.deliver_webhooks, "apply_async", lambda **options: woken.append(options))
    tasks.sweep_webhooks()
    assert woken == []
    new_endpoint(receiver)
    new_endpoint(new_receiver())
    happen()
    tasks.sweep_webhooks()
    assert len(woken) == 2
    tasks.deliver_webhooks()
    woken.clear()
    tasks.sweep_webhooks()
    assert woken == []
