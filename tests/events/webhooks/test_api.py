"""Webhooks over the management API. What is delivered, and how, has tests of its own."""

import pytest

from events.models import WebhookDelivery, WebhookEndpoint
from tenants.models import AuditEntry
from tests.tenants.api.builders import problem

# Each answer has a status that the OpenAPI document names.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("documented_answers")]
URL = "https://example.com/webhooks"


def test_an_endpoint_lives_from_its_making_to_its_deletion(admin, acme):
    made = admin.post("webhooks", {"url": URL, "event_types": ["key.created"]})
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    path = f"webhooks/{made.json()['id']}"
    got = admin.get(path)
    assert "secret" not in got.json()
    edited = admin.patch(path, {"event_types": []}, If_Match=got["ETag"])
    assert edited.json()["event_types"] == []
    problem(admin.patch(path, {"description": "late"}, If_Match=got["ETag"]), 412, "precondition_failed")
    rotated = admin.post(f"{path}/rotate").json()
    assert rotated["secret"] not in ("", secret)
    assert rotated["previous_secret_until"]
    assert not admin.post(f"{path}/disable").json()["is_enabled"]
    problem(admin.post(f"{path}/test"), 409, "endpoint_disabled")
    assert admin.post(f"{path}/enable").json()["is_enabled"]
    assert admin.delete(path).status_code == 204
    assert not WebhookEndpoint.objects.exists()
    assert secret not in str(list(AuditEntry.objects.filter(tenant=acme).values()))


def test_what_was_sent_is_listed_and_sent_again(admin):
    path = f"webhooks/{admin.post('webhooks', {'url': URL}).json()['id']}"
    sent = admin.post(f"{path}/test").json()
    assert (sent["type"], sent["status"]) == ("webhook.test", "pending")
    WebhookDelivery.objects.update(status="failed", status_code=500, answer="no", failure="It returned 500.")
    [listed] = admin.get(f"{path}/deliveries?status=failed").json()["data"]
    assert (listed["answer"], listed["next_attempt_at"]) == ("no", None)
    again = admin.post(f"{path}/deliveries/{sent['id']}/redeliver").json()
    assert again["event"] == sent["event"]
    assert again["id"] != sent["id"]
    assert admin.get(f"{path}/deliveries/{again['id']}").json() == again
    [event] = admin.get("events?type=webhook.test").json()["data"]
    assert event["id"] == sent["event"]
    assert event["data"]["object"]["url"] == URL


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "http://example.com"}, "bad_url"),
        ({"url": URL, "event_types": ["all"]}, "unknown_event_type"),
    ],
)
def test_a_wrong_endpoint_is_refused(admin, settings, body, code):
    settings.WEBHOOKS_TO_LOOPBACK = False
    problem(admin.post("webhooks", body), 400, code)
    assert not WebhookEndpoint.objects.exists()


def test_keys_with_the_scope_make_endpoints(with_key):
    problem(with_key("styles:write").post("webhooks", {"url": URL}), 403, "insufficient_scope")
    assert with_key("webhooks:write").post("webhooks", {"url": URL}).status_code == 201


def test_a_viewset_keeps_strict_bodies_etags_and_idempotency(admin, with_key):
    made = admin.post("webhooks", {"url": URL}, Idempotency_Key="one")
    again = admin.post("webhooks", {"url": URL}, Idempotency_Key="one")
    assert (again.status_code, again.json(), again["idempotent-replayed"]) == (201, made.json(), "true")
    assert again["ETag"] == made["ETag"]
    path = f"webhooks/{made.json()['id']}"
    assert admin.get(path)["ETag"] == made["ETag"]
    problem(admin.post("webhooks", {"url": f"{URL}/2", "kind": "x"}), 400, "invalid")
    problem(admin.patch(path, {"is_enabled": False}), 400, "invalid")
    problem(admin.delete(path, If_Match='"another"'), 412, "precondition_failed")
    refused = admin.request("put", path, {})
    problem(refused, 405, "method_not_allowed")
    assert set(refused["Allow"].split(", ")) == {"GET", "PATCH", "DELETE", "HEAD", "OPTIONS"}
    problem(admin.get("webhooks?limit=0"), 400, "invalid_limit")
    problem(admin.get(f"{path}/deliveries?status=lost"), 400, "invalid")
    assert WebhookEndpoint.objects.count() == 1
