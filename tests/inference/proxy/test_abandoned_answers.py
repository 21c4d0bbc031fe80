"""Answers that are not streamed, whose clients hang up: the engine ends them, and what it wrote is billed."""

import asyncio

import pytest

from inference.errors import EngineDied
from tests.inference.builders import SHORT_WAITS
from tests.inference.fakes import eventually, relay

pytestmark = pytest.mark.proxy_settings(abort_every_s=0.01, **SHORT_WAITS)
WORDS = 200


class Leaving:
    """A client that hangs up when the test says so."""

    def __init__(self):
        self.hang_up = lambda: None

    def watch_disconnect(self, callback):
        self.hang_up = callback

    def unwatch_disconnect(self):
        self.hang_up = lambda: None


@pytest.fixture
def leaving():
    return Leaving()


@pytest.fixture
def ask(gateway, account, leaving):
    return lambda **more: asyncio.create_task(relay(gateway, account.caller, client=leaving, **more))


async def test_the_engine_ends_it_and_what_it_wrote_is_billed(gateway, account, engine, ask, leaving):
    engine.words = ["word "] * WORDS
    engine.pace_s = 0.01
    asking = ask()
    await eventually(lambda: engine.written >= 3)
    leaving.hang_up()
    with pytest.raises(ConnectionAbortedError):
        await asking
    assert engine.written < WORDS / 2
    [event] = account.events()
    assert (event["outcome"], event["completion_tokens"]) == ("client_disconnect", engine.written)
    assert (account.held(), gateway.in_flight) == (0, {})


async def test_before_its_first_token_nothing_is_billed(account, engine, ask, leaving):
    engine.words = ["word "] * WORDS
    engine.pace_s = 1
    asking = ask()
    await eventually(lambda: engine.received)
    leaving.hang_up()
    with pytest.raises(ConnectionAbortedError):
        await asking
    assert engine.written <= 1
    assert account.used() in (0, 11)  # the word that was on its way
    assert account.held() == 0


async def test_an_engine_that_can_not_be_told_writes_to_its_end(account, engine, ask, leaving):
    engine.can_abort = False
    engine.pace_s = 0.02
    asking = ask()
    await eventually(lambda: engine.written)
    leaving.hang_up()
    with pytest.raises(ConnectionAbortedError):
        await asking
    [event] = account.events()
    assert (event["outcome"], event["completion_tokens"]) == ("client_disconnect", len(engine.words))


@pytest.mark.proxy_settings(entrants_max=0, abort_every_s=0.01)
async def test_one_that_waits_for_its_turn_leaves_the_queue(gateway, account, engine, ask, leaving):
    account.offer("poetry", places=[account.places("poetry")[0] | {"max_num_seqs": 1}])
    engine.hangs = True
    first = ask()
    await eventually(lambda: engine.received)
    second = ask(max_tokens=3)
    [backend] = gateway.backends
    await eventually(lambda: backend.queue.waiting)
    leaving.hang_up()
    with pytest.raises(ConnectionAbortedError):
        await second
    assert (backend.queue.waiting, len(engine.received)) == (0, 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert account.held() == 0


async def test_a_failed_engine_is_followed_by_no_other_one(account, engine, ask, leaving):
    engine.hangs = True
    asking = ask()
    await eventually(lambda: engine.received)
    leaving.hang_up()
    await engine.die()
    with pytest.raises((ConnectionAbortedError, EngineDied)):
        await asking
    assert (account.held(), account.used()) == (0, 0)
