"""Secrets of webhooks sign as receivers verify. What is encrypted at rest: test_resealing, test_endpoints."""

import pytest
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from events.webhooks import delivery


def test_receivers_verify_with_either_of_two_secrets_and_with_no_other():
    first, second, other = (delivery.new_secret() for _ in range(3))
    body = '{"type":"key.created","name":"Überschrift"}'
    headers = delivery.sign([first, second], event_id="evt", at=timezone.now(), body=body)
    for secret in (first, second):
        assert Webhook(secret).verify(body, headers)["name"] == "Überschrift"
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(first).verify(body.replace("created", "revoked"), headers)
