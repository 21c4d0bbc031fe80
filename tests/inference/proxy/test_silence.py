"""Streams that wait for their first part are woken by one check."""

import asyncio

from inference.proxy.answer import SilenceCheck


async def begin(silence: SilenceCheck):
    """Return a first part that is awaited, and the wait for it."""
    first_part = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(silence.wait(first_part))
    await asyncio.sleep(0)
    return first_part, waiting


async def test_only_those_that_waited_long_enough_are_woken():
    now_s = 0.0
    silence = SilenceCheck(10, clock=lambda: now_s)
    first_part, early = await begin(silence)
    now_s = 5.0
    _, late = await begin(silence)
    now_s = 10.0
    silence.wake_late()
    await early
    assert [first_part.done(), late.done()] == [False, False]
    now_s = 15.0
    silence.wake_late()
    await late
    assert not silence._since_s


async def test_a_part_or_a_failure_ends_the_wait_and_leaves_nothing_behind():
    silence = SilenceCheck(10, clock=lambda: 0.0)
    first_part, waiting = await begin(silence)
    first_part.set_result(b"part")
    await waiting
    failed, waiting = await begin(silence)
    failed.set_exception(ValueError("broken"))
    await waiting
    assert isinstance(failed.exception(), ValueError)
    given_up, waiting = await begin(silence)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not given_up.done()
    await silence.wait(first_part)
    assert not silence._since_s
