"""What a gateway knows of versions and engines, and how soon it knows what changed."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from core import valkey as names
from inference.errors import LimitsUnavailable
from inference.proxy import route_cache as module
from inference.proxy.route_cache import RouteCache
from inference.proxy.runtime import Gateway
from inference.proxy.settings import ProxySettings
from tests.inference.builders import open_tables, place, version_row, write_engines, write_version
from tests.inference.fakes import eventually
from tests.waiting import PATIENCE_S

URL = "http://127.0.0.1:1"
NEVER_S = 600  # what is known within a test was not polled


@pytest.fixture
async def open_gateways(valkey):
    """Open two gateways; `changes` are fields of their settings."""
    open_tables()
    async with AsyncExitStack() as stack:

        async def open_gateways(**changes):
            gateways = [Gateway(ProxySettings(**changes)) for _ in range(2)]
            for gateway in gateways:
                await stack.enter_async_context(gateway)
                await gateway.routes.ensure_loaded()
            return gateways

        yield open_gateways


def is_healthy(gateway):
    route = gateway.routes.tables.route("v1")
    return bool(route.placements) and route.placements[0].healthy


async def seconds_until_known(gateways):
    """Flip an engine; return after how many seconds the last gateway knows."""
    local = place("local", URL)
    write_engines(local)
    write_version(version_row("poetry", "v1", places=[local]))
    await eventually(lambda: all(map(is_healthy, gateways)))
    began_s = time.monotonic()
    write_engines(local | {"healthy": False})
    await eventually(lambda: not any(map(is_healthy, gateways)))
    return time.monotonic() - began_s


async def test_a_change_reaches_every_gateway_by_its_message(open_gateways):
    gateways = await open_gateways(tables_poll_s=NEVER_S)
    await eventually(lambda: _listeners(gateways[0]) == 2)
    await seconds_until_known(gateways)


async def test_a_message_that_is_lost_costs_a_second(open_gateways, monkeypatch):
    async def deaf(_: RouteCache) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(RouteCache, "listen", deaf)
    gateways = await open_gateways()
    assert ProxySettings().tables_poll_s == 1
    assert await seconds_until_known(gateways) > 0.05


async def test_who_loses_the_channel_listens_again_and_reads_what_was_said_meanwhile(open_gateways, valkey):
    gateways = await open_gateways(tables_poll_s=NEVER_S, loop_restart_s=0.05)
    await eventually(lambda: _listeners(gateways[0]) == 2)
    valkey.client_kill_filter(_type="pubsub")
    await seconds_until_known(gateways)


def _listeners(gateway) -> int:
    channel = names.route_generation_key()
    return dict(names.client().pubsub_numsub(channel))[channel]


async def test_an_emptied_valkey_takes_no_route_from_a_gateway(open_gateways, valkey, monkeypatch):
    asked = asyncio.Event()

    async def publish(self: Gateway) -> None:
        asked.set()

    monkeypatch.setattr(Gateway, "_publish_tables", publish)
    [gateway, _] = await open_gateways(tables_poll_s=0.02)
    local = place("local", URL)
    write_engines(local)
    write_version(version_row("poetry", "v1", places=[local]))
    await eventually(lambda: is_healthy(gateway))
    valkey.flushall()
    async with asyncio.timeout(PATIENCE_S):
        await asked.wait()
    assert is_healthy(gateway)
    write_engines(local | {"url": "http://127.0.0.1:2"})  # not all rows are there yet
    for _ in range(2):  # the first look may have begun before
        asked.clear()
        async with asyncio.timeout(PATIENCE_S):
            await asked.wait()
    assert gateway.routes.tables.route("v1").placements[0].url == URL
    write_version(version_row("poetry", "v1", places=[local]))
    open_tables()
    await eventually(lambda: gateway.routes.tables.route("v1").placements[0].url == "http://127.0.0.1:2")


async def test_before_the_tables_are_there_nobody_is_served(valkey, monkeypatch):
    monkeypatch.setattr(module, "LOADED_WITHIN_S", 0.05)
    published = asyncio.Event()

    async def publish(self: Gateway) -> None:
        await published.wait()
        open_tables()

    monkeypatch.setattr(Gateway, "_publish_tables", publish)
    async with Gateway() as gateway:
        with pytest.raises(LimitsUnavailable):
            await gateway.routes.ensure_loaded()
        published.set()
        monkeypatch.setattr(module, "LOADED_WITHIN_S", PATIENCE_S)
        await gateway.routes.ensure_loaded()
