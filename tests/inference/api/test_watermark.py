"""Each answer says truly whether it is watermarked: in all dialects, whole and streamed, and in its event."""

import json

import pytest

from inference.contract.text_digest import digest_text
from tests.inference.fakes import chat

WORDS = [f"word{n} " for n in range(12)]
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
