"""Each answer says truly whether it is watermarked: in all dialects, whole and streamed, and in its event."""

import asyncio
import json
import random
import re
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from inference.contract.usage import digest_text
from tests.fakes.vllm_control import error_body
from tests.fakes.vllm_data import FakeVllm
from tests.inference.builders import SHORT_WAITS
from tests.inference.fakes import chat
from tests.profiles import examples

WORDS = [f"word{n} " for n in range(12)]
ANSWERS = examples(500)
PATHS = ["/v1/chat/completions", "/v1/responses", "/v1/messages"]


@pytest.fixture(autouse=True)
def long_answers(engine):
    engine.words = list(WORDS)
    engine.watermark_epoch = "3"


def body_for(path, **fields):
    if path != "/v1/responses":
        return chat(**{"max_tokens": 50} | fields)
    return {"model": "poetry", "input": "Hi", "max_output_tokens": 50} | fields


def last_words(body):
    """What a stream's events say of the mark."""
    said = set()
    for line in body.decode().splitlines():
        if line.startswith("data: {"):
            event = json.loads(line[6:])
            said.add(event.get("watermark") or event.get("response", {}).get("watermark"))
    return said - {None}


CASES = [
    ({}, "3", "gumbel; epoch=3"),
    ({}, "", "none; reason=engine"),
    ({"temperature": 0}, "3", "none; reason=greedy"),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("path", PATHS)
async def test_the_word_is_the_same_everywhere(client, engine, account, path, case):
    fields, epoch, word = case
    engine.watermark_epoch = epoch
    status, head, _ = await client.ask(body_for(path, **fields), path=path)
    assert (status, head["x-polyscribe-watermark"]) == (200, word)
    status, head, body = await client.ask(body_for(path, stream=True, **fields), path=path)
    assert (status, last_words(body)) == (200, {word})
    assert head.get("x-polyscribe-watermark", word) == word
    assert [event["watermark"] for event in account.events()] == [word, word]
    asks = [(sent.get("watermarking"), sent["vllm_xargs"].get("watermarking")) for sent in engine.received]
    assert asks == [(False, 0) if "greedy" in word else (None, None)] * 2
    digests = {event["text_sha256"] for event in account.events()}
    assert digests == {digest_text("".join(WORDS))}


@pytest.mark.parametrize("path", PATHS)
async def test_an_answer_that_can_hardly_be_found_says_so(client, engine, account, path):
    engine.stop_reason = "polyscribe-faint:"  # of engine/extensions/polyscribe_evidence.py
    word = "gumbel; epoch=3; faint"
    _, head, whole = await client.ask(body_for(path), path=path)
    assert head["x-polyscribe-watermark"] == word
    _, _, streamed = await client.ask(body_for(path, stream=True), path=path)
    assert last_words(streamed) == {word}
    assert [event["watermark"] for event in account.events()] == [word, word]
    assert b"polyscribe-faint" not in whole + streamed


@pytest.mark.parametrize("stream", [False, True])
async def test_only_a_marked_answer_is_faint_and_a_stop_text_stays(client, engine, stream):
    engine.stop_reason = "polyscribe-faint:END"
    body = body_for("/v1/messages", stream=stream, temperature=0)
    _, head, answer = await client.ask(body, path="/v1/messages")
    assert head["x-polyscribe-watermark"] == "none; reason=greedy"
    assert b'"stop_sequence":"END"' in answer
    assert b"faint" not in answer


@pytest.mark.parametrize("stream", [False, True])
async def test_an_event_says_what_prescribed_the_text(client, account, stream):
    await client.ask(chat(stream=stream, logit_bias={"5": 100}))
    await client.ask(chat(stream=stream))
    assert [event["constrained"] for event in account.events()] == ["logit_bias", ""]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_short_answer_says_at_its_end_that_it_has_no_mark(client, engine, account, stream):
    engine.words = WORDS[:3]
    _, head, body = await client.ask(chat(stream=stream))
    said = last_words(body) if stream else {head["x-polyscribe-watermark"]}
    assert said == {"none; reason=short"} == {event["watermark"] for event in account.events()}


async def test_a_request_turns_the_mark_off_only_where_workspace_or_key_let_it(client, engine, account):
    status, _, body = await client.ask(chat(watermarking=False))
    assert (status, json.loads(body)["error"]["param"]) == (400, "watermarking")
    assert (engine.received, account.events()) == ([], [])
    account.store.hset(account.caller.names.api_key, "is_watermarked", "0")
    _, head, _ = await client.ask(chat(watermarking=False))
    assert head["x-polyscribe-watermark"] == "none; reason=off"
    _, head, _ = await client.ask(chat())
    assert head["x-polyscribe-watermark"] == "none; reason=off"
    _, head, _ = await client.ask(chat(watermarking=True))
    assert head["x-polyscribe-watermark"] == "gumbel; epoch=3"


async def test_where_it_is_required_no_engine_without_a_key_answers(client, engine, account, settings):
    settings.WATERMARK = "required"
    account.store.hset(account.caller.names.limits, "is_watermarked", "0")
    _, head, _ = await client.ask(chat())
    assert head["x-polyscribe-watermark"] == "gumbel; epoch=3"
    engine.watermark_epoch = ""
    status, _, _ = await client.ask(chat())
    assert status == 503
    assert [event["outcome"] for event in account.events()] == ["complete"]


class UnsteadyVllm(FakeVllm):
    """It refuses one request of seven, and its words say which key marks them."""

    def __init__(self, epoch, chance):
        super().__init__()
        self.watermark_epoch = epoch
        self.words = [f"key{epoch} "] * 12
        self.chance = chance
        self.failed = 0

    async def answer(self, request):
        if self.chance.random() < 1 / 7:
            self.failed += 1
            return web.json_response(error_body(503, "x", "busy"), status=503)
        return await super().answer(request)


# Whether the key turns the mark off, and what requests then say: their fields, and why they get no mark.
KEYS = [
    ("1", [({}, ""), ({"temperature": 0.7}, ""), ({"temperature": 0}, "greedy")]),
    ("0", [({"watermarking": True}, ""), ({}, "off"), ({"watermarking": False}, "off")]),
]


@pytest.mark.proxy_settings(**SHORT_WAITS)
@pytest.mark.parametrize(("is_watermarked", "requests"), KEYS)
async def test_the_word_of_thousands_of_answers_is_true_while_engines_fail(
    client, account, is_watermarked, requests
):
    chance = random.Random(11)
    account.store.hset(account.caller.names.api_key, "is_watermarked", is_watermarked)
    many = 10**9
    account.limit(requests_per_minute=many, tokens_per_minute=many, monthly_tokens=many)
    engines = [UnsteadyVllm(epoch, chance) for epoch in ("3", "4", "")]
    said = Counter()

    async def ask(number):
        path = chance.choice(PATHS)
        fields, reason = chance.choice(requests)
        stream = chance.random() < 0.5
        status, head, answered = await client.ask(body_for(path, stream=stream, **fields), path=path)
        if status != 200:
            said["failed"] += 1
            return
        words = last_words(answered) if stream else {head["x-polyscribe-watermark"]}
        epoch = re.search(rb"key(\d?) ", answered)[1].decode()
        true = f"gumbel; epoch={epoch}" if epoch else "none; reason=engine"
        if reason:
            true = f"none; reason={reason}"
        said["true" if words == {true} else f"{words}, not {true}"] += 1

    async with AsyncExitStack() as stack:
        account.offer("poetry", *[await stack.enter_async_context(engine.serve()) for engine in engines])
        while sum(said.values()) < 1.2 * ANSWERS:
            await asyncio.gather(*map(ask, range(8)))
    assert said.keys() <= {"true", "failed"}
    assert said["true"] >= ANSWERS
    assert sum(engine.failed for engine in engines) > ANSWERS / 20
