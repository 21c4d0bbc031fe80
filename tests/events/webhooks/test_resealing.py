"""A pepper is replaced: known first, then current, then gone; keys and deliveries go on all the while."""

from io import StringIO

import pytest
from django.core.management import call_command
from standardwebhooks import Webhook

from accounts.workspaces import playground_key
from events.models import WebhookEndpoint
from events.webhooks import endpoints
from events.webhooks.delivery import deliver_due
from keys.actions import revoke_by_operator
from tenants.models.keys import verify_key
from tests.events.webhooks.conftest import LIMITS
from tests.tenants.builders import issue_key

pytestmark = pytest.mark.django_db

OLD, NEW = bytes.fromhex("11" * 32), bytes.fromhex("22" * 32)


def run() -> str:
    out = StringIO()
    call_command("seal_secrets", stdout=out)
    return out.getvalue()


def test_a_pepper_is_replaced_and_no_key_and_no_delivery_is_lost(
    settings, owner, receiver, new_endpoint, happen
):
    acme, alice = owner.tenant, owner.user
    settings.API_KEY_PEPPERS = {1: OLD}
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
    assert "Pepper 2: not used yet" in run()

    settings.API_KEY_PEPPER = None
    new_key, new_secret = issue_key(acme, name="after", by=alice)
    assert new_key.pepper == 2
    all_goes_on(old_secret, known_secret, new_secret)
    before = WebhookEndpoint.objects.get().changed_at
    said = run()
    assert "1 webhook endpoints" in said
    assert "Pepper 1: used by 2 active API keys" in said
    assert WebhookEndpoint.objects.get().changed_at == before
    all_goes_on(old_secret, known_secret, new_secret)

    playground_key(acme)  # the playground's has no secret, so no pepper
    for issued in acme.keys.filter(pepper=1).exclude(digest=None):
        revoke_by_operator(issued)
    assert "Pepper 1: no longer needed" in run()
    settings.API_KEY_PEPPERS = {2: NEW}
    all_goes_on(new_secret)
    assert not verify_key(old_secret, acme)
    assert key.pepper == 1
