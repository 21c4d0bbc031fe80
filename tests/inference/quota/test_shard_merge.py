import asyncio
from contextlib import suppress

import pytest
from django.core.management import call_command

from core import months
from core import valkey as names
from inference.api.app import lifespan
from inference.contract.usage import Usage
from inference.quota.ledger_drain import drain_usage, rebuild_counters
from inference.quota.settlement import sweep_expired_holds
from inference.quota.shard_merge import SHARDS, ShardsRemain
from tenants.models import UsageEvent
from tests.inference.quota.builders import begin

pytestmark = pytest.mark.django_db(transaction=True)


def divide(store) -> None:
    """Give all keys the names that they had in a shard; the drain had read one event and died."""
    store.xgroup_create(names.usage_key(), "ledger", id="0")
    store.xreadgroup("ledger", "dead", {names.usage_key(): ">"}, count=1)
    for name in store.keys("workspace:*-*-*-*-*:*"):  # pools came after the shards
        store.rename(name, name.replace("workspace:", "{s3}:"))
    for name in (names.usage_key(), names.leases_key()):
        store.rename(name, f"{{s3}}:{name}")
    store.delete(names.epoch_key())
    for shard in SHARDS:
        store.set(f"{shard}:epoch", "whole")


@pytest.fixture
async def divided(gateway, known, valkey):
    """An installation of before, in which two requests were settled and a gateway died with a third."""
    for name in ("r1", "r2"):
        await gateway.meter.settle(
            await begin(gateway, known, name), Usage(prompt=7, completion=5), "complete"
        )
    grant = await begin(gateway, known, "died")
    await gateway.meter.extend(grant, Usage(prompt=10, completion=1))
    valkey.zadd(names.kept_key(known.tenant), {f"9 {names.replay_key(known.tenant, 'd')}": 5})
    before = valkey.hgetall(names.account_key(known.tenant, known.period))
    divide(valkey)
    return before


def test_the_merge_keeps_counters_holds_answers_and_every_event(divided, known, valkey):
    call_command("merge_shards")
    assert valkey.hgetall(names.account_key(known.tenant, known.period)) == divided
    assert valkey.zrange(names.kept_key(known.tenant), 0, -1) == [f"9 {names.replay_key(known.tenant, 'd')}"]
    assert valkey.get(names.epoch_key()) == "whole"
    assert valkey.keys("{s*") == []
    valkey.zadd(names.leases_key(), {f"{known.tenant} died": 1}, xx=True)  # its lease is over
    assert sweep_expired_holds(valkey) == 1
    assert drain_usage(valkey, "c") == 3
    assert UsageEvent.objects.filter(tenant=known.tenant).count() == 3
    assert (known.used(), known.held()) == (12 + 12 + 11, 0)
    call_command("merge_shards")  # harmless
    assert known.used() == 35


def test_nothing_serves_or_drains_before_the_merge(divided, known, valkey):
    with pytest.raises(ShardsRemain):
        drain_usage(valkey, "c")
    with pytest.raises(ShardsRemain):
        rebuild_counters(valkey, known.tenant, months.current())
    assert asyncio.run(start()) == ["lifespan.startup.failed"]
    call_command("merge_shards")
    assert asyncio.run(start()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_merge_that_was_broken_off_goes_on(divided, known, valkey):
    name = names.account_key(known.tenant, known.period)
    valkey.rename(name.replace("workspace:", "{s3}:"), name)
    call_command("merge_shards")
    assert valkey.hgetall(name) == divided


async def start() -> list[str]:
    """Start a gateway and stop it; return what it told the server."""
    told: list[str] = []

    async def receive() -> dict:
        return {"type": "lifespan"}

    async def send(message: dict) -> None:
        told.append(message["type"])

    with suppress(asyncio.CancelledError):
        await lifespan({"state": {}}, receive, send)
    return told
