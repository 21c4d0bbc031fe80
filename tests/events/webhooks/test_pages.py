"""The pages about webhooks: a secret once, owners change, members see, and nothing typed is lost."""

import json

import pytest
from django.urls import reverse

from events.models import WebhookDelivery, WebhookEndpoint
from events.webhooks import delivery, endpoints
from tenants.access import Access
from tests.events.webhooks.conftest import LIMITS, answering

URL = "https://example.com/hooks"


@pytest.fixture
def endpoint(owner: Access) -> WebhookEndpoint:
    made, _ = endpoints.create_endpoint(owner, url=URL, description="Chat")
    return made


def address(name: str, *arguments: object) -> str:
    return reverse(f"events:{name}", args=arguments)


def test_a_secret_is_shown_once(alice_client, presented):
    facts = {"url": URL, "description": "Chat", "event_types": ["key.created", "version.serving"]}
    page = alice_client.post(address("webhooks"), facts)
    made = WebhookEndpoint.objects.get()
    secret = page.context["secret"]
    assert secret == delivery.unseal_secret(made.sealed_secret)
    assert secret in page.text
    assert "no-store" in page["Cache-Control"]
    assert (made.url, made.description, made.event_types) == (URL, "Chat", ["version.serving", "key.created"])
    for shown in (address("webhooks"), address("webhook", made.pk)):
        assert secret not in alice_client.get(shown).text


def test_a_new_secret_is_shown_once_and_the_old_one_is_said_to_live_on(alice_client, endpoint):
    page = alice_client.post(address("rotate_webhook_secret", endpoint.pk))
    endpoint.refresh_from_db()
    assert page.context["secret"] == delivery.unseal_secret(endpoint.sealed_secret)
    assert "We also sign with the previous secret" in page.text
    assert page.context["secret"] not in alice_client.get(address("webhook", endpoint.pk)).text


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"url": "https://10.1.2.3/hooks"}, "not a public address"),
        ({"url": URL, "event_types": ["key.eaten"]}, "Choose from the events below"),
        ({"url": URL, "description": "a\u202eb"}, "bidirectional"),
    ],
)
def test_a_wrong_form_makes_nothing_and_loses_nothing(alice_client, presented, facts, said):
    page = alice_client.post(address("webhooks"), {"description": "Chat", **facts})
    assert page.status_code == 400
    assert said in page.text
    assert page.context["form"]["url"].value() == facts["url"]
    assert page.context["form"]["description"].value() == facts.get("description", "Chat")
    assert not WebhookEndpoint.objects.exists()


def test_an_edit_is_kept_and_a_wrong_one_loses_nothing(alice_client, endpoint):
    page = alice_client.post(address("webhook", endpoint.pk), {"url": "https://192.168.1.1/"})
    assert page.status_code == 400
    assert 'value="https://192.168.1.1/"' in page.text
    changes = {"url": f"{URL}/new", "event_types": ["key.revoked"]}
    assert alice_client.post(address("webhook", endpoint.pk), changes).status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.description, endpoint.event_types) == (f"{URL}/new", "", ["key.revoked"])


def test_deliveries_are_shown_with_their_answers_and_sent_again(
    alice_client, new_receiver, new_endpoint, happen
):
    receiver = new_receiver(answering(500, "<b>no database</b>"), answering(200))
    made = new_endpoint(receiver)
    event = happen()
    delivery.deliver_due(LIMITS)
    page = alice_client.get(address("webhook", made.pk))
    assert "This endpoint is failing" in page.text
    row = made.deliveries.get()
    details = alice_client.get(address("webhook_delivery", row.public_id))
    for shown in (page, details):
        assert "The workspace&#x27;s suspension was lifted" in shown.text
        assert "workspace.resumed" in shown.text
        assert "It returned 500" in shown.text
        assert "1 attempt" in shown.text
    assert str(event.pk) in details.text
    assert "&lt;b&gt;no database&lt;/b&gt;" in details.text
    assert json.loads(details.context["body"])["type"] == "workspace.resumed"
    assert alice_client.post(address("redeliver_webhook", row.public_id)).status_code == 302
    delivery.deliver_due(LIMITS)
    page = alice_client.get(address("webhook", made.pk))
    assert "Delivered" in page.text
    assert "This endpoint is enabled" in page.text


def test_a_test_is_sent_and_the_page_asks_for_its_outcome(alice_client, receiver, new_endpoint):
    made = new_endpoint(receiver)
    page = alice_client.post(address("test_webhook", made.pk), follow=True)
    assert "Test event sent" in page.text
    assert 'hx-trigger="every 2s"' in page.text
    delivery.deliver_due(LIMITS)
    part = alice_client.get(address("webhook", made.pk), headers={"HX-Request": "true"})
    assert "Delivered" in part.text
    assert "<html" not in part.text
    assert "hx-trigger" not in part.text


def test_older_deliveries_are_a_page_away(alice_client, receiver, new_endpoint, happen):
    made = new_endpoint(receiver)
    events = [happen() for _ in range(31)]
    page = alice_client.get(address("webhook", made.pk))
    assert [row.event for row in page.context["deliveries"]] == events[:0:-1]
    older = alice_client.get(address("webhook", made.pk), {"before": str(page.context["older_than"])})
    assert [row.event for row in older.context["deliveries"]] == [events[0]]
    assert older.context["older_than"] is None
    assert alice_client.get(address("webhook", made.pk), {"before": "nothing"}).status_code == 200


def test_disabling_and_enabling_are_two_clicks(alice_client, endpoint):
    page = alice_client.post(address("disable_webhook", endpoint.pk), follow=True)
    assert "This endpoint is disabled" in page.text
    assert "Disabled by alice@example.org." in page.text
    assert "1 webhook endpoint, 1 disabled" in alice_client.get(address("webhooks")).text
    page = alice_client.post(address("test_webhook", endpoint.pk), follow=True)
    assert "This endpoint is disabled. Enable it first." in page.text
    assert not WebhookDelivery.objects.exists()
    page = alice_client.post(address("enable_webhook", endpoint.pk), follow=True)
    assert "This endpoint is enabled" in page.text


def test_an_endpoint_is_deleted_with_its_deliveries(alice_client, receiver, new_endpoint, happen):
    made = new_endpoint(receiver)
    happen()
    assert alice_client.post(address("delete_webhook", made.pk)).status_code == 302
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookDelivery.objects.exists()
