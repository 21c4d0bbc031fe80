"""A Valkey that has forgotten everything: nobody is served until what is in flight is counted again."""

import asyncio
import json
import time
from contextlib import AsyncExitStack

import pytest
from django.db import OperationalError

from accounts.workspaces import playground_key
from core import months
from core import valkey as names
from inference.contract import tokenizer
from inference.contract.requests import ParsedRequest
from inference.errors import EngineBusy, InFlightFull, LimitsUnavailable
from inference.proxy import admission_wait
from inference.proxy import runtime as module
from inference.proxy.runtime import Gateway
from inference.proxy.settings import ProxySettings
from inference.quota.admission import PeriodRollover
from inference.quota.ledger_drain import drain_usage
from keys import actions
from metering.models import LedgerEntry
from tenants.models import ApiKey, Tenant
from tests.fakes.vllm_data import FakeVllm
from tests.inference.builders import Account, open_tables
from tests.inference.fakes import eventually, read_answer, relay
from tests.tenants.builders import owner_of
from tests.waiting import PATIENCE_S

GRACE_S = 0.4
QUICK = {"heartbeat_every_s": 0.1, "recovery_grace_ms": int(GRACE_S * 1000)}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proxy_settings(**QUICK)]
HOLD = 230  # no request of these tests holds more tokens, none less than half


@pytest.fixture(autouse=True)
def quick_token_counts(monkeypatch):
    monkeypatch.setattr(tokenizer, "count_prompt_tokens", ParsedRequest.prompt_bound)


@pytest.fixture
def published(monkeypatch, known):
    """How often the tenant was published; adapters' part is this test's one route."""
    times, publish = [], module.publish_snapshot

    def counted(tenant_id):
        times.append(tenant_id)
        publish(tenant_id)

    monkeypatch.setattr(module, "publish_snapshot", counted)
    monkeypatch.setattr(module, "publish_missing_tables", open_tables)
    monkeypatch.setattr(module, "publish_library", lambda _: known.offer("poetry", known.url))
    return times


@pytest.fixture
def known(valkey, acme) -> Account:
    """A tenant that PostgreSQL knows; its one key may have two requests in flight and not three."""
    key = playground_key(acme)
    actions.edit_key(key, by=owner_of(acme), monthly_tokens=2 * HOLD)
    known = Account(valkey, acme.pk, key.pk, months.current())
    known.url = "http://127.0.0.1:1"
    valkey.flushall()
    return known


@pytest.fixture
async def engine(known, published):
    """An engine that answers with twenty words."""
    fake = FakeVllm()
    fake.words = ["word "] * 20
    async with fake.serve() as known.url:
        yield fake


@pytest.fixture
async def open_gateway():
    """Open another gateway of this machine."""
    async with AsyncExitStack() as stack:
        yield lambda **changes: stack.enter_async_context(Gateway(ProxySettings(**QUICK | changes)))


@pytest.fixture
async def gateway(open_gateway, published):
    return await open_gateway()


beside = module.run_in_thread


def in_ledger():
    return sum(entry.tokens for entry in LedgerEntry.objects.all())


async def limit(known, tokens):
    key = await beside(ApiKey.objects.get, pk=known.key)
    by = owner_of(await beside(Tenant.objects.get, pk=known.tenant))
    await beside(actions.edit_key, key, by=by, monthly_tokens=tokens)


async def ask(gateway, known, **more):
    return await relay(gateway, known.caller, max_tokens=40, **more)


async def start(gateway, known):
    """Return a task that reads a stream to its end, once that has begun."""
    return asyncio.create_task(read_answer(await ask(gateway, known, stream=True)))


async def grow_warm(gateway, known):
    await (await start(gateway, known))
    return known.used()


async def test_after_a_flush_nobody_is_served_until_what_is_in_flight_is_held_again(
    open_gateway, gateway, engine, known, valkey
):
    before = await grow_warm(gateway, known)
    await limit(known, before + 2 * HOLD)
    engine.pace_s = 1  # they do not end before the grace does, however slow this machine is
    other = await open_gateway()
    streams = [await start(gateway, known), await start(other, known)]
    held = known.held()
    assert HOLD < held <= 2 * HOLD
    await beside(drain_usage, valkey, "c")

    valkey.flushall()
    began_s = time.monotonic()
    late = await open_gateway()  # it has nothing in flight, and knows of nothing
    answers = await asyncio.gather(*(ask(g, known) for g in (gateway, other, late)), return_exceptions=True)
    assert time.monotonic() - began_s >= GRACE_S * 0.9
    assert {type(answer) for answer in answers} == {InFlightFull}
    assert known.held() == held

    engine.pace_s = 0
    for text in await asyncio.gather(*streams):
        assert text.endswith(b"data: [DONE]\n\n")
    assert (known.held(), known.used()) == (0, before + 2 * 30)
    await ask(late, known)
    await beside(drain_usage, valkey, "c")
    assert await beside(in_ledger) == known.used() == before + 3 * 30


async def test_what_ends_during_the_grace_is_billed_and_counted_once(gateway, engine, known, valkey):
    before = await grow_warm(gateway, known)
    await beside(drain_usage, valkey, "c")
    engine.pace_s = 0.005
    stream = await start(gateway, known)
    valkey.flushall()
    await stream  # before any beat
    assert known.held() == 0
    engine.pace_s = 0
    await ask(gateway, known)
    assert (known.used(), known.held()) == (before + 60, 0)
    await beside(drain_usage, valkey, "c")
    assert await beside(in_ledger) == before + 60


async def test_flush_upon_flush_gives_no_hold_away(gateway, engine, known, valkey):
    before = await grow_warm(gateway, known)
    await beside(drain_usage, valkey, "c")
    engine.pace_s = 1  # it does not end before the flushes do, however slow this machine is
    stream = await start(gateway, known)
    await limit(known, before + known.held() + HOLD // 4)
    for _ in range(3):
        valkey.flushall()
        asking = asyncio.create_task(ask(gateway, known))
        await asyncio.sleep(GRACE_S / 2)  # the second flush comes in the middle of the grace
        valkey.flushall()
        with pytest.raises((InFlightFull, LimitsUnavailable)):
            await asking
    assert not stream.done()
    engine.pace_s = 0
    await stream
    assert known.held() == 0


async def test_a_fresh_valkey_is_used_after_one_grace_and_then_at_once(open_gateway, engine, known, valkey):
    engine.pace_s = 0
    began_s = time.monotonic()
    gateway = await open_gateway()
    await ask(gateway, known)
    first_s = time.monotonic() - began_s
    assert first_s >= GRACE_S * 0.9
    await eventually(lambda: valkey.get(names.epoch_key()) == "whole")
    valkey.delete(names.account_key(known.tenant, known.period))  # as with a new month: nothing is missing
    await asyncio.wait_for(ask(await open_gateway(recovery_grace_ms=600_000), known), PATIENCE_S)


async def test_while_another_process_writes_the_routes_a_request_waits_for_them(
    gateway, engine, known, valkey, monkeypatch
):
    await grow_warm(gateway, known)
    monkeypatch.setattr(module, "publish_missing_tables", lambda: None)  # as for whom the lock is taken
    valkey.flushall()
    asking = asyncio.create_task(ask(gateway, known))
    await eventually(lambda: valkey.exists(names.library_key(known.tenant)))
    valkey.delete(names.route_styles_key())
    assert not asking.done()
    known.offer("poetry", known.url)
    await beside(open_tables)
    assert json.loads((await asking).body)["model"] == "poetry"


async def test_fifty_cold_requests_publish_once(gateway, engine, known, published):
    engine.pace_s = 0.03
    answers = await asyncio.gather(*(ask(gateway, known) for _ in range(50)), return_exceptions=True)
    assert len(published) == 1
    served = [a for a in answers if not isinstance(a, Exception)]
    # Where the byte bound alone doesn't decide they are counted, a few at a time; so some end meanwhile.
    refused = {type(a) for a in answers if a not in served}
    assert refused <= {InFlightFull, EngineBusy}
    assert 2 <= len(served) < 50
    assert known.used() == 30 * len(served)


async def test_a_request_that_was_cold_in_both_months_is_served(
    gateway, engine, known, published, monkeypatch
):
    admit = admission_wait.admit
    turned: list[int] = []

    async def admit_at_the_turn(*arguments, **facts):
        if published and not turned:
            turned.append(int(time.time() * 1000))
            known.store.delete(names.account_key(known.tenant, known.period))
            raise PeriodRollover(turned[0])
        return await admit(*arguments, **facts)

    monkeypatch.setattr(admission_wait, "admit", admit_at_the_turn)
    answer = await ask(gateway, known)
    assert json.loads(answer.body)["model"] == "poetry"
    assert len(published) == 2


async def test_two_gateways_may_publish_at_once(open_gateway, gateway, engine, known, published):
    other = await open_gateway()
    answers = await asyncio.gather(*(ask(g, known) for g in (gateway, other)))
    assert [json.loads(answer.body)["model"] for answer in answers] == ["poetry"] * 2
    assert len(published) == 2
    assert known.used() == 60


async def test_who_is_cancelled_while_a_tenant_grows_warm_stops_nobody(gateway, engine, known, published):
    first, *others = [asyncio.create_task(ask(gateway, known)) for _ in range(3)]
    await eventually(lambda: gateway.workspaces._publishing)
    first.cancel()
    assert len(await asyncio.gather(*others)) == 2
    assert len(published) == 1


async def test_a_database_that_is_down_serves_nobody_who_is_cold_and_is_asked_again(
    gateway, engine, known, published, monkeypatch
):
    def down(_):
        raise OperationalError("down")

    with monkeypatch.context() as patch:
        patch.setattr(module, "publish_library", down)
        answers = await asyncio.gather(*(ask(gateway, known) for _ in range(5)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {LimitsUnavailable}
    await ask(gateway, known)
    assert known.used() == 30


async def test_two_months_grow_warm_at_once(gateway, engine, known, valkey):
    await asyncio.gather(
        *(gateway.workspaces.ensure_published(known.tenant, period) for period in ("2026-10", "2026-11"))
    )
    for period in ("2026-10", "2026-11"):
        assert valkey.hget(names.account_key(known.tenant, period), "used") == "0"
