"""Events reach endpoints signed, in order, at least once; what fails is tried again, and given up in time."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from standardwebhooks import Webhook

from events.models import EventType, OutboxEvent, WebhookDelivery, WebhookEndpoint
from events.webhooks import delivery, endpoints
from events.webhooks.delivery import RETRIES, deliver_due
from tests.events.webhooks.conftest import LIMITS, answering
from tests.racing import race

pytestmark = pytest.mark.django_db

Status = WebhookDelivery.Status
FAILING = answering(500, "no database")


def statuses(endpoint: WebhookEndpoint) -> list[str]:
    return list(endpoint.deliveries.order_by("pk").values_list("status", flat=True))


def test_an_event_comes_signed_with_its_object_and_facts(receiver, new_endpoint, happen, acme):
    endpoint = new_endpoint(receiver)
    event = happen(EventType.USAGE_THRESHOLD_REACHED, percent=80, measure="tokens")
    assert deliver_due(LIMITS) == 1
    [request] = receiver.received
    payload = Webhook(endpoint.secret).verify(request.body, request.headers)
    assert payload == {
        "type": "usage.threshold_reached",
        "timestamp": payload["timestamp"],
        "id": str(event.pk),
        "data": {"object": {"id": str(acme.pk), "object": "tenant"}, "percent": 80, "measure": "tokens"},
    }
    assert list(payload) == ["type", "timestamp", "id", "data"]
    assert payload["timestamp"].endswith("Z")
    assert request.headers["webhook-id"] == str(event.pk)
    assert request.headers["content-type"] == "application/json"
    row = endpoint.deliveries.get()
    assert (row.status, row.status_code, row.attempts, row.failure) == (Status.DELIVERED, 200, 1, "")
    assert row.latency_ms is not None


def test_an_endpoint_gets_the_types_that_it_wants_of_its_own_workspace(
    new_receiver, new_endpoint, happen, stranger
):
    of_keys = new_endpoint(new_receiver(), event_types=[EventType.KEY_REVOKED])
    of_all = new_endpoint(new_receiver())
    disabled = new_endpoint(new_receiver())
    delivery.disable(disabled, "A test.")
    of_a_stranger, _ = endpoints.create_endpoint(stranger, url=new_receiver().url)
    happen(EventType.KEY_CREATED)
    happen(EventType.KEY_REVOKED)
    assert [len(statuses(one)) for one in (of_keys, of_all, disabled, of_a_stranger)] == [1, 2, 0, 0]


def test_a_failed_delivery_holds_later_ones_back_and_keeps_its_id_and_body(
    new_receiver, new_endpoint, happen, clock
):
    receiver = new_receiver(FAILING, answering(200))
    endpoint = new_endpoint(receiver)
    events = [happen(number=number) for number in range(3)]
    assert deliver_due(LIMITS) == 1
    assert deliver_due(LIMITS) == 0  # none is due: the first waits, the others wait behind it
    assert statuses(endpoint) == [Status.PENDING] * 3
    first = endpoint.deliveries.earliest("pk")
    assert (first.attempts, first.status_code, first.answer) == (1, 500, "no database")
    assert "It returned 500" in str(first.failure)
    clock.move(seconds=RETRIES.after_s[0])
    assert deliver_due(LIMITS) == 3
    ids = [str(event.pk) for event in events]
    assert receiver.event_ids == [ids[0], *ids]
    assert receiver.received[0].body == receiver.received[1].body
    timestamps = [int(request.headers["webhook-timestamp"]) for request in receiver.received]
    assert timestamps[1] == timestamps[0] + RETRIES.after_s[0]  # else receivers would call it a replay
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


def test_another_endpoint_is_not_held_back(new_receiver, receiver, new_endpoint, happen):
    new_endpoint(new_receiver(FAILING))
    new_endpoint(receiver)
    event = happen()
    deliver_due(LIMITS)
    assert receiver.event_ids == [str(event.pk)]


def test_attempts_come_ever_later_and_end_after_three_days(new_receiver, new_endpoint, happen, clock):
    receiver = new_receiver(FAILING)
    endpoint = new_endpoint(receiver)
    other = new_endpoint(new_receiver(), event_types=[EventType.WEBHOOK_DISABLED])
    happen()
    happen()
    began = clock.at
    waits = []
    while endpoint.is_enabled:
        assert deliver_due(LIMITS)
        endpoint.refresh_from_db()
        row = endpoint.deliveries.earliest("pk")
        waits.append(round((row.next_attempt_at - clock.at).total_seconds()))
        if endpoint.is_enabled:
            clock.at = row.next_attempt_at
    assert waits[: len(RETRIES.after_s)] == list(RETRIES.after_s)
    assert set(waits[len(RETRIES.after_s) :]) == {RETRIES.after_s[-1]}
    assert timedelta(days=3) <= clock.at - began < timedelta(days=3.5)
    assert statuses(endpoint) == [Status.FAILED] * 2
    assert (endpoint.disabled_at, endpoint.failing_since) == (clock.at, began)
    assert "failed for three days" in str(endpoint.disabled_reason)
    assert "It returned 500" in str(endpoint.disabled_reason)
    told = other.deliveries.get().event
    assert (told.type, told.facts) == ("webhook.disabled", {"reason": endpoint.disabled_reason})


def test_gone_disables_at_once(new_receiver, new_endpoint, happen):
    endpoint = new_endpoint(new_receiver(answering(410)))
    happen()
    happen()
    assert deliver_due(LIMITS) == 1
    endpoint.refresh_from_db()
    assert not endpoint.is_enabled
    assert "410 Gone" in str(endpoint.disabled_reason)
    assert statuses(endpoint) == [Status.FAILED] * 2
    happen()
    assert len(statuses(endpoint)) == 2


@pytest.mark.parametrize("status", [301, 400, 404, 429, 503])
def test_nothing_but_200_to_299_is_taken_for_a_success(new_receiver, new_endpoint, happen, status):
    endpoint = new_endpoint(new_receiver(answering(status)))
    happen()
    deliver_due(LIMITS)
    row = endpoint.deliveries.get()
    assert (row.status, row.status_code) == (Status.PENDING, status)
    assert str(status) in str(row.failure)


def test_of_an_answer_two_kilobytes_are_kept_readable(new_receiver, new_endpoint, happen):
    endpoint = new_endpoint(new_receiver(answering(200, "\0 é" + "x" * 5_000)))
    happen()
    deliver_due(LIMITS)
    assert endpoint.deliveries.get().answer == "\ufffd é" + "x" * (2048 - 4)


def test_a_secret_and_the_one_before_it_both_sign_for_a_day(receiver, new_endpoint, happen, owner, clock):
    endpoint = new_endpoint(receiver)
    old = endpoint.secret
    new = endpoints.rotate_secret(endpoint, by=owner)
    happen()
    deliver_due(LIMITS)
    clock.move(hours=24, seconds=1)
    happen()
    deliver_due(LIMITS)
    during, after = receiver.received
    # The library asks the clock of the machine, which the test did not move.
    assert len(during.headers["webhook-signature"].split()) == 2
    assert len(after.headers["webhook-signature"].split()) == 1
    for secret in (old, new):
        Webhook(secret).verify(during.body, during.headers)
    expected = Webhook(new).sign(after.headers["webhook-id"], clock.at, after.body)
    assert after.headers["webhook-signature"] == expected


def test_a_secret_that_cant_be_read_is_said_and_tried_again(receiver, new_endpoint, happen, settings):
    endpoint = new_endpoint(receiver)
    happen()
    settings.API_KEY_PEPPERS = {9: bytes(32)}
    deliver_due(LIMITS)
    assert receiver.received == []
    assert endpoint.deliveries.get().failure == delivery.DeliveryFault.KEY_IS_MISSING()


def test_a_worker_that_lost_its_lease_writes_nothing_over_the_next_ones_outcome(
    new_receiver, new_endpoint, happen, clock
):
    receiver = new_receiver(FAILING, answering(200))
    endpoint = new_endpoint(receiver)
    happen()
    late = delivery.lease_next()
    assert late is not None
    assert deliver_due(LIMITS) == 0
    row = endpoint.deliveries.select_related("event", "endpoint").get()
    clock.at = late.leased_until + timedelta(seconds=1)
    current = delivery.lease_next()
    assert current is not None
    assert delivery.attempt_delivery(row, LIMITS) is False
    row.refresh_from_db()
    assert row.attempts == 0
    assert delivery.deliver_events(late, LIMITS) == 0
    assert delivery.deliver_events(current, LIMITS) == 1
    assert statuses(endpoint) == [Status.DELIVERED]


def test_one_workspace_with_slow_receivers_does_not_hold_all_threads(
    new_receiver, new_endpoint, happen, stranger
):
    for _ in range(delivery.MAX_LEASES_OF_A_TENANT + 2):
        new_endpoint(new_receiver())
    happen()
    leases = [delivery.lease_next() for _ in range(delivery.MAX_LEASES_OF_A_TENANT + 1)]
    assert [lease is not None for lease in leases] == [True] * delivery.MAX_LEASES_OF_A_TENANT + [False]
    other, _ = endpoints.create_endpoint(stranger, url=new_receiver().url)
    endpoints.send_test(other, by=stranger)
    assert delivery.lease_next() == other


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_deliver_each_event_once_and_in_order(new_receiver, new_endpoint, happen):
    receivers = [new_receiver() for _ in range(3)]
    for one in receivers:
        new_endpoint(one)
    expected = [str(_in_transaction(happen).pk) for _ in range(20)]
    attempts = race(*[lambda: deliver_due(LIMITS)] * 4)
    assert [one.event_ids for one in receivers] == [expected] * 3
    assert sum(attempts) == 60
    assert not WebhookDelivery.objects.pending().exists()
    assert not WebhookEndpoint.objects.exclude(leased_until=None).exists()


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_a_receiver_takes_its_time(new_receiver, new_endpoint, happen):
    blocks = []
    receiver = new_receiver(lambda handler: (blocks.append(open_transactions()), answering(200)(handler)))
    new_endpoint(receiver)
    _in_transaction(happen)
    assert deliver_due(LIMITS) == 1
    assert blocks == [0]


def open_transactions() -> int:
    """Return how many other connections of this database are inside a transaction."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
            )
            return int(cursor.fetchone()[0])
    finally:
        connection.close()


def _in_transaction(happen) -> OutboxEvent:
    with transaction.atomic():
        return happen()
