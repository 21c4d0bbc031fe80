"""How the client of tests, trials and benches notes the end of a request, against the fake vLLM."""

import asyncio
from types import SimpleNamespace

import pytest

from inference.errors import EngineBusy
from inference.proxy.answer import frame_error
from labs import chat_client
from labs.chat_client import CHAT, Outcome, Reply, open_client, run_concurrently
from tests.fakes.vllm_data import FakeVllm


@pytest.fixture
def vllm():
    return FakeVllm()


async def ask(vllm, **fields):
    async with vllm.serve() as url, open_client(url, total_s=60) as client:
        return await client.chat("poetry", "Rain?", **fields)


async def test_a_complete_stream_has_a_first_token_and_its_usage(vllm):
    reply = await ask(vllm)
    assert reply.outcome == Outcome.COMPLETE
    assert 0 < reply.first_token_s < reply.ended_s - reply.began_s
    assert reply.completion_tokens == len(vllm.words)


async def test_a_complete_unary_answer_has_its_text_and_its_usage(vllm):
    reply = await ask(vllm, stream=False)
    assert reply.outcome == Outcome.COMPLETE
    assert reply.text == "".join(vllm.words)
    assert reply.completion_tokens == len(vllm.words)


async def test_a_refusal_has_its_status_and_code(vllm):
    vllm.refuses = (429, "Too many.")
    reply = await ask(vllm)
    assert (reply.outcome, reply.status, reply.code) == (Outcome.REFUSED, 429, "429")
    assert "Too many." in reply.describe_failure()


async def test_an_error_inside_a_stream_cuts_it_short(vllm):
    vllm.error_event = {"error": {"message": "Gone.", "code": "engine_gone"}}
    reply = await ask(vllm)
    assert (reply.outcome, reply.status, reply.code) == (Outcome.CUT_SHORT, 200, "engine_gone")


async def test_the_gateways_own_error_inside_a_stream_cuts_it_short():
    """The gateway's JSON has spaces, the engine's has none."""

    async def lines():
        yield b": waiting\n"
        yield from_gateway.splitlines()[0] + b"\n"

    from_gateway = frame_error(EngineBusy())
    reply = Reply(status=200)
    await chat_client._read_stream(SimpleNamespace(content=lines()), reply, None)
    assert (reply.outcome, reply.code) == (Outcome.CUT_SHORT, EngineBusy.code)


async def test_a_connection_that_breaks_is_broken(vllm):
    vllm.breaks_after = 2
    reply = await ask(vllm)
    assert reply.outcome == Outcome.BROKEN
    assert reply.error


async def test_patience_that_ends_is_broken(vllm):
    vllm.hangs = True
    reply = await ask(vllm, timeout_s=0.1)
    assert (reply.outcome, reply.error) == (Outcome.BROKEN, "TimeoutError")


async def test_a_client_hangs_up_after_some_events(vllm):
    vllm.pace_s = 0.05
    body = {"model": "poetry", "messages": [], "stream": True}
    async with vllm.serve() as url, open_client(url) as client:
        reply = await client.post(CHAT, body, hang_up_after=2)
        await vllm.hung_up.wait()
    assert reply.outcome == Outcome.HUNG_UP
    assert vllm.written < len(vllm.words)


async def test_nobody_there_is_broken():
    async with open_client("http://127.0.0.1:9") as client:
        reply = await client.chat("poetry", "Rain?")
    assert (reply.outcome, reply.status) == (Outcome.BROKEN, 0)


async def test_jobs_run_so_many_at_once_until_the_generator_ends():
    running = set()
    most = 0

    async def work(job):
        nonlocal most
        running.add(job)
        most = max(most, len(running))
        await asyncio.sleep(0)
        running.remove(job)
        return job * 10

    results = await run_concurrently(iter(range(7)), work, at_once=3)
    assert sorted(results) == [0, 10, 20, 30, 40, 50, 60]
    assert most == 3
