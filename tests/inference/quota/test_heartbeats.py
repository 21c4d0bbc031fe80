"""Heartbeats: one that breaks is logged, takes no other with it, and they go on."""

import asyncio

import pytest

from inference.proxy.runtime import Gateway
from inference.proxy.settings import ProxySettings
from tests.waiting import PATIENCE_S

QUICK = ProxySettings(heartbeat_every_s=0.01, health_recheck_every_s=0.01, loop_restart_s=0.01)


async def until(happened: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await happened.wait()


async def test_a_request_whose_heartbeat_breaks_takes_no_other_with_it(valkey, monkeypatch, caplog):
    beaten = asyncio.Event()

    async def heartbeat(self: Gateway, request_id: str) -> None:
        if request_id == "broken":
            raise KeyError(request_id)
        beaten.set()

    monkeypatch.setattr(Gateway, "heartbeat", heartbeat)
    async with Gateway(QUICK) as gateway:
        gateway.in_flight |= {"broken": None, "well": None}
        for _ in range(3):
            beaten.clear()
            await until(beaten)
        gateway.in_flight.clear()
    assert "KeyError: 'broken'" in caplog.text


@pytest.mark.parametrize("loop", ["_send_heartbeats", "_recheck_health"])
async def test_a_loop_that_breaks_begins_again(valkey, monkeypatch, caplog, loop):
    times, again = 0, asyncio.Event()

    async def breaking(self: Gateway) -> None:
        nonlocal times
        times += 1
        if times == 3:
            again.set()
        raise RuntimeError("broken")

    monkeypatch.setattr(Gateway, loop, breaking)
    async with Gateway(QUICK):
        await until(again)
    assert "begins again" in caplog.text


async def test_a_gateway_that_ends_ends_its_loops(valkey):
    async with Gateway(QUICK) as gateway:
        pass
    assert all(task.done() for task in gateway.tasks._running)
