"""What a key learns about itself from the data plane."""

import asyncio
import json
import time

import pytest
from django.utils import timezone
from jsonschema import Draft202012Validator

from core import months
from core import valkey as names
from core.errors import Invalid, TooManyRequests
from core.money import NANO
from inference.api import key_endpoint
from inference.contract import http_errors
from inference.contract.openapi import data_plane_paths, data_plane_schemas
from inference.proxy.runtime import Gateway
from metering.credits import grant_credit
from metering.ledger import record_events
from metering.models import PlanVersion
from metering.quota_sync.snapshot import publish_snapshot
from tests.inference.builders import open_tables
from tests.inference.fakes import Client, chat
from tests.tenants.builders import issue_key, make_event


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


async def test_what_a_key_reads_is_as_the_document_describes_it(client, account):
    describe(account, name="letters", hint="sk-ps-ab…yz", scopes="inference", monthly_tokens="")
    schemas = data_plane_schemas()
    for path, name in (("/v1/key", "OwnKeyAnswer"), ("/v1/models", "ModelsAnswer")):
        _, answer = await get(client, path)
        Draft202012Validator({**schemas[name], "components": {"schemas": schemas}}).validate(answer)
    assert (await get(client, "/v1/key"))[1]["limits"]["key"]["monthly_tokens"]["limit"] is None


async def test_anthropics_errors_are_as_the_document_describes_them(client, account):
    answers = data_plane_paths()["/v1/messages"]["post"]["responses"]
    status, _, body = await client.ask(chat(max_tokens=0), path="/v1/messages")
    described = answers[str(status)]["content"]["application/json"]["schema"]
    schemas = data_plane_schemas()
    Draft202012Validator({**described, "components": {"schemas": schemas}}).validate(json.loads(body))
    assert described["$ref"].endswith("/AnthropicError")
    assert "529" in answers
    assert "503" not in answers


async def test_a_key_reads_what_is_left_of_included_tokens_and_credits(client, engine, account):
    period = account.period
    before = months.before(period)
    await client.ask(chat())  # 14 tokens
    spent = int(account.store.hget(names.account_key(account.tenant, period), "spent"))
    account.limit(wallet=f"{period} {before} 100000 100000 5000000000:b 7500000000:c 9:p")
    account.store.hset(names.account_key(account.tenant, before), mapping={"used": 50, "spent": 6})
    _, key = await get(client, "/v1/key")
    used = account.used()
    assert key["limits"]["workspace"]["included_tokens"] == {
        "limit": 100_000, "used": used, "remaining": 100_000 - used
    }  # fmt: skip
    assert key["credits"] == {"left_nanousd": 12_500_000_000, "left_usd": "12.50"}
    # The month before burns first, of what pays it; then this one.
    account.limit(wallet=f"{period} {before} 0 20 5000000000:b 7500000000:c 9:p")
    account.store.hset(names.account_key(account.tenant, before), "spent", 10_000_000_000)
    _, key = await get(client, "/v1/key")
    assert key["credits"]["left_nanousd"] == 7_500_000_000 - spent  # it owed $6
    assert key["limits"]["workspace"]["included_tokens"]["limit"] == 0


@pytest.mark.django_db(transaction=True)
def test_credits_that_valkey_does_not_know_are_published_first(acme, valkey):
    """Also on a plan whose tokens are all included, where admission reads no credits."""
    _, secret = issue_key(acme, name="laptop", by=None)
    grant_credit(acme, 3 * NANO, source="promotion", source_id="1", reason="", actor="")
    publish_snapshot(acme.pk)
    valkey.hset(names.limits_key(acme.pk), "wallet", "2026-01 2025-12 0 0")  # an old month's
    valkey.set(names.epoch_key(), "whole")
    open_tables()

    async def read() -> dict:
        async with Gateway() as gateway:
            return (await get(Client(gateway, secret), "/v1/key"))[1]

    assert asyncio.run(read())["credits"] == {"left_nanousd": 3 * NANO, "left_usd": "3.00"}


async def test_a_change_that_was_known_ahead_is_told_once_it_is_due(client, account):
    coming = json.dumps({"requests_per_minute": "77"})
    for coming_at, told in ((int(time.time() * 1000) + 3_600_000, 100), (1, 77)):
        account.limit(coming_at=coming_at, coming=coming)
        _, key = await get(client, "/v1/key")
        assert key["limits"]["workspace"]["requests_per_minute"]["limit"] == told


@pytest.mark.django_db(transaction=True)
def test_usage_is_of_the_key_itself(acme, valkey):
    first, _ = issue_key(acme, name="first", by=None)
    second, _ = issue_key(acme, name="second", by=None)
    now = timezone.now()
    record_events([make_event(acme, key, admitted_at=now) for key in (first, first, second)])
    report = key_endpoint.report_usage_of_key(acme.pk, first.pk, {"group_by": "style"})
    assert report["total"]["requests"] == 2
    assert report["credits"] == {"left_nanousd": 0, "left_usd": "0.00"}
    grant_credit(acme, 3 * NANO, source="promotion", source_id="1", reason="", actor="")
    report = key_endpoint.report_usage_of_key(acme.pk, first.pk, {})
    assert report["credits"] == {"left_nanousd": 3 * NANO, "left_usd": "3.00"}
    PlanVersion.objects.update(api_requests_per_minute=1)
    with pytest.raises(TooManyRequests) as many:
        key_endpoint.report_usage_of_key(acme.pk, first.pk, {})
    status, _, headers = http_errors.error(many.value)
    assert (status, dict(headers)[b"retry-after"].isdigit()) == (429, True)
    PlanVersion.objects.update(api_requests_per_minute=100)
    with pytest.raises(Invalid, match="key"):
        key_endpoint.report_usage_of_key(acme.pk, first.pk, {"key": str(second.pk)})
