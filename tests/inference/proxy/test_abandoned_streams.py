"""Whoever leaves a stream, at whatever moment and without a word, leaves no hold and no place behind."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from tests.inference.fakes import eventually, relay

TURNS = 40  # of the loop: more than a short stream takes until its first part


@pytest.fixture(autouse=True)
def _little_garbage() -> Iterator[None]:
    """Let collections look at what a test made, not at all that was ever loaded, which takes a second."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def ask(gateway, account):
    return lambda: relay(gateway, account.caller, stream=True)


async def nothing_is_left(gateway, account):
    await no_request_is_left(gateway)
    await eventually(lambda: account.held() == 0)


async def no_request_is_left(gateway):
    await eventually(lambda: not gateway.in_flight)
    assert all(backend.queue.load == 0 for backend in gateway.backends._backends.values())


async def test_a_stream_that_is_dropped_before_it_is_read(gateway, account, engine, ask):
    engine.pace_s = 0.05
    answer = await ask()
    assert gateway.in_flight
    del answer
    gc.collect()
    await nothing_is_left(gateway, account)


@pytest.mark.proxy_settings(comment_every_s=0.01, silence_check_every_s=0.01)
async def test_a_stream_that_is_dropped_before_its_first_part_has_come(gateway, account, engine, ask):
    engine.hangs = True
    answer = await ask()
    del answer
    gc.collect()
    await nothing_is_left(gateway, account)


@pytest.mark.proxy_settings(comment_every_s=0.01, silence_check_every_s=0.01)
async def test_a_client_that_hangs_up_while_comments_are_sent(gateway, account, engine, ask):
    engine.hangs = True
    answer = await ask()
    comments = []

    async def read():
        async for part in answer.stream:
            comments.append(part)

    reading = asyncio.create_task(read())
    await eventually(lambda: len(comments) >= 2)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await nothing_is_left(gateway, account)


async def test_a_client_that_hangs_up_at_any_turn_until_the_first_part(gateway, account, engine, ask):
    for turns in range(TURNS):
        asking = asyncio.create_task(ask())
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        del asking
        gc.collect()
    # Where the client left while Valkey was asked, the hold ends with its lease: the sweeper settles it.
    await no_request_is_left(gateway)
