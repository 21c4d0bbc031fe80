"""A key that died long ago is in no snapshot: its requests are told so, and publish nothing for ever."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from core import months
from core import valkey as names
from inference.proxy import runtime as module
from inference.proxy.runtime import run_in_thread
from tenants.models import ApiKey
from tenants.models.keys import PUBLISHED_AFTER_DEATH
from tests.inference.builders import Account
from tests.inference.fakes import Client, chat
from tests.tenants.builders import issue_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proxy_settings(recovery_grace_ms=50)]

REQUESTS = {
    "chat": {"body": chat()},
    "once": {"body": chat(), "headers": {"Idempotency-Key": "once"}},
    "models": {"body": {}, "path": "/v1/models", "method": "GET"},
}


@pytest.fixture
def published(monkeypatch, valkey, acme) -> list[object]:
    """How often the workspace was published; its one route leads to a style that nobody serves."""
    known = Account(valkey, acme.pk, acme.pk, months.current())
    times: list[object] = []
    publish = module.publish_snapshot

    def count_and_publish(tenant_id):
        times.append(tenant_id)
        publish(tenant_id)

    monkeypatch.setattr(module, "publish_snapshot", count_and_publish)
    monkeypatch.setattr(module, "publish_library", lambda _: known.offer("poetry"))
    return times


async def end_key(key: ApiKey, valkey, *, days: int) -> None:
    """Let a key be revoked so many days ago, and Valkey have dropped it since."""
    revoked_at = timezone.now() - timedelta(days=days)
    await run_in_thread(ApiKey.objects.filter(pk=key.pk).update, revoked_at=revoked_at)
    valkey.delete(names.key_key(key.tenant_id, key.pk), names.owner_key(key.digest))


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_a_gateway_that_knew_the_key_forgets_it(gateway, acme, valkey, published, request_):
    key, secret = await run_in_thread(issue_key, acme, name="old", by=None)
    client = Client(gateway, secret)
    status, _, _ = await client.ask({}, path="/v1/models", method="GET")
    assert status == 200

    await end_key(key, valkey, days=PUBLISHED_AFTER_DEATH.days - 1)
    status, _, body = await client.ask(**request_)
    assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
    assert "was revoked" in json.loads(body)["error"]["message"]

    await end_key(key, valkey, days=PUBLISHED_AFTER_DEATH.days + 1)
    before = len(published)
    for _ in range(3):
        status, _, body = await client.ask(**request_)
        assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
    assert len(published) - before == 1
    assert not gateway.workspaces._key_owners
