"""What a key learns about itself from the data plane."""

import json

import pytest
from django.utils import timezone

from foundation import valkey as names
from foundation.errors import Invalid
from foundation.rest.errors import TooManyRequests
from inference.api import key_endpoint
from inference.contract import http_errors
from tenants.api_keys.lifecycle import issue_key
from tenants.billing.ledger import record_events
from tenants.models import PlanVersion
from tests.inference.fakes import chat
from tests.tenants.conftest import make_event


def describe(account, **facts: str) -> None:
    account.store.hset(names.key_key(account.tenant, account.key), mapping=facts)


async def get(client, path: str):
    status, _, body = await client.ask({}, path=path, method="GET")
    return status, json.loads(body)


async def test_a_key_reads_its_limits_and_what_is_left(client, engine, account):
    describe(account, name="letters", hint="sk-ps-ab…yz", scopes="inference,usage:read", monthly_tokens="500")
    await client.ask(chat())  # uses 14 tokens of 100 requests a minute
    status, key = await get(client, "/v1/key")
    assert status == 200
    assert (key["name"], key["scopes"]) == ("letters", ["inference", "usage:read"])
    assert key["styles"] == ["base", "poetry"]
    used = account.used()
    assert key["limits"]["workspace"]["monthly_tokens"] == {
        "limit": 100_000, "used": used, "in_flight": 0, "remaining": 100_000 - used
    }  # fmt: skip
    assert key["limits"]["key"]["monthly_tokens"]["remaining"] == 500 - used
    assert key["limits"]["key"]["requests_per_minute"] == {"limit": None, "remaining": None}
    assert key["limits"]["workspace"]["requests_per_minute"]["limit"] == 100
    assert key["limits"]["workspace"]["requests_per_minute"]["remaining"] in (99, 100)
    assert key["limits"]["workspace"]["parallel_requests"] == {"limit": 8, "remaining": 8}
    assert key["limits"]["resets_at"].endswith("-01T00:00:00Z")


async def test_a_key_without_the_scope_writes_nothing_and_still_reads_itself(client, engine, account):
    describe(account, state="unscoped", scopes="styles:read")
    for path, method in (("/v1/chat/completions", "POST"), ("/v1/models", "GET")):
        status, _, body = await client.ask(chat(), path=path, method=method)
        assert (status, json.loads(body)["error"]["code"]) == (403, "insufficient_scope")
    assert engine.received == []
    assert (await get(client, "/v1/key"))[0] == 200


@pytest.mark.parametrize("path", ["/v1/key", "/v1/usage"])
async def test_a_revoked_key_reads_nothing(client, account, path):
    describe(account, state="revoked")
    status, body = await get(client, path)
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.django_db(transaction=True)
def test_usage_is_of_the_key_itself(acme, valkey):
    first, _ = issue_key(acme, name="first", by=None)
    second, _ = issue_key(acme, name="second", by=None)
    now = timezone.now()
    record_events([make_event(acme, key, admitted_at=now) for key in (first, first, second)])
    report = key_endpoint.report_usage_of_key(acme.pk, first.pk, {"group_by": "style"})
    assert report["total"]["requests"] == 2
    PlanVersion.objects.update(api_requests_per_minute=1)
    with pytest.raises(TooManyRequests) as many:
        key_endpoint.report_usage_of_key(acme.pk, first.pk, {})
    status, _, headers = http_errors.error(many.value)
    assert (status, dict(headers)[b"retry-after"].isdigit()) == (429, True)
    PlanVersion.objects.update(api_requests_per_minute=100)
    with pytest.raises(Invalid, match="key"):
        key_endpoint.report_usage_of_key(acme.pk, first.pk, {"key": str(second.pk)})
