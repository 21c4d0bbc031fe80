"""Secrets of webhooks are encrypted at rest and sign as receivers verify."""

import pytest
from cryptography.fernet import InvalidToken
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from tenants.webhooks import signing

OLD = bytes.fromhex("11" * 32)
NEW = bytes.fromhex("22" * 32)


def test_a_sealed_secret_is_unreadable_and_comes_back(settings):
    settings.API_KEY_PEPPERS = {1: OLD}
    secret = signing.new_secret()
    sealed = signing.seal_secret(secret)
    assert secret.startswith("whsec_")
    assert secret.removeprefix("whsec_") not in sealed
    assert signing.unseal_secret(sealed) == secret
    assert signing.seal_secret(secret) != sealed


def test_a_secret_outlives_a_new_pepper_and_not_the_loss_of_its_own(settings):
    settings.API_KEY_PEPPERS = {1: OLD}
    sealed = signing.seal_secret("whsec_c2VjcmV0")
    settings.API_KEY_PEPPERS = {1: OLD, 2: NEW}
    assert signing.unseal_secret(sealed) == "whsec_c2VjcmV0"
    settings.API_KEY_PEPPERS = {2: NEW}
    with pytest.raises(InvalidToken):
        signing.unseal_secret(sealed)


def test_receivers_verify_with_either_of_two_secrets_and_with_no_other():
    first, second, other = (signing.new_secret() for _ in range(3))
    body = '{"type":"key.created","name":"Überschrift"}'
    headers = signing.sign([first, second], event_id="evt", at=timezone.now(), body=body)
    for secret in (first, second):
        assert Webhook(secret).verify(body, headers)["name"] == "Überschrift"
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(first).verify(body.replace("created", "revoked"), headers)
