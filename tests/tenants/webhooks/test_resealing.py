"""A pepper is replaced: known first, then current, then gone; keys and deliveries go on all the while."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from standardwebhooks import Webhook

from tenants.api_keys.lifecycle import issue_key, revoke_key, verify_key
from tenants.events import outbox
from tenants.models import ApiKey, AuditEntry, WebhookEndpoint
from tenants.webhooks import endpoints, signing
from tenants.webhooks.delivery import deliver_due
from tenants.webhooks.resealing import reseal_secrets
from tests.tenants.webhooks.conftest import LIMITS

pytestmark = pytest.mark.django_db

OLD, NEW = bytes.fromhex("11" * 32), bytes.fromhex("22" * 32)


def run() -> str:
    out = StringIO()
    call_command("reseal_secrets", stdout=out)
    return out.getvalue()


def test_a_pepper_is_replaced_and_no_key_and_no_delivery_is_lost(
    settings, owner, receiver, new_endpoint, happen
):
    acme, alice = owner.tenant, owner.user
    settings.API_KEY_PEPPERS = {1: OLD}
    outbox.register_presenter(ApiKey, lambda row: {"id": str(row.pk)})
    endpoint = new_endpoint(receiver, event_types=["workspace.resumed"])
    second = endpoints.rotate_secret(endpoint, by=owner)
    key, old_secret = issue_key(acme, name="before", by=alice)

    def all_goes_on(*secrets: str) -> None:
        for secret in secrets:
            assert verify_key(secret, acme)
        receiver.received.clear()
        happen()
        assert deliver_due(LIMITS) == 1
        [request] = receiver.received
        for secret in (endpoint.secret, second):
            Webhook(secret).verify(request.body, request.headers)

    settings.API_KEY_PEPPERS, settings.API_KEY_PEPPER = {1: OLD, 2: NEW}, 1
    _, known_secret = issue_key(acme, name="known", by=alice)
    all_goes_on(old_secret, known_secret)
    assert "Pepper 2: not needed" in run()

    settings.API_KEY_PEPPER = None
    new_key, new_secret = issue_key(acme, name="after", by=alice)
    assert new_key.pepper == 2
    all_goes_on(old_secret, known_secret, new_secret)
    before = WebhookEndpoint.objects.get().changed_at
    said = run()
    assert "1 endpoints got" in said
    assert "Pepper 1: needed by 2 live API keys" in said
    assert WebhookEndpoint.objects.get().changed_at == before
    assert AuditEntry.objects.filter(action="webhook_endpoint.secret_resealed").count() == 1
    assert reseal_secrets().endpoints == 0
    all_goes_on(old_secret, known_secret, new_secret)

    for issued in acme.keys.filter(pepper=1):
        revoke_key(issued)
    assert "Pepper 1: not needed any more" in run()
    settings.API_KEY_PEPPERS = {2: NEW}
    all_goes_on(new_secret)
    assert not verify_key(old_secret, acme)
    assert key.pepper == 1


def test_a_secret_whose_pepper_is_gone_is_told_and_the_others_are_resealed(
    settings, receiver, new_endpoint, owner
):
    settings.API_KEY_PEPPERS = {1: OLD, 2: NEW}
    settings.API_KEY_PEPPER = 1
    readable = new_endpoint(receiver)
    lost, _ = endpoints.create_endpoint(owner, url=f"{receiver.url}/lost")
    settings.API_KEY_PEPPERS = {5: bytes(32)}
    settings.API_KEY_PEPPER = None
    WebhookEndpoint.objects.filter(pk=lost.pk).update(sealed_secret=signing.seal_secret("whsec_c2VjcmV0"))
    settings.API_KEY_PEPPERS = {1: OLD, 2: NEW}

    with pytest.raises(CommandError, match="1 endpoints' secrets can't be read"):
        run()
    assert signing.is_current(WebhookEndpoint.objects.get(pk=readable.pk).sealed_secret)
