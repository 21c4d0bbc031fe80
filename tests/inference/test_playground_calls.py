"""What a page's stream hides: every name of a model, wherever the parts of the stream are cut."""

import json

import pytest
from django.test import RequestFactory

from core import valkey as names
from inference.playground.calls import Call, answer_call, hide_model
from tests.inference.fakes import chat, refusals_written

CHUNKS = [
    {"id": "v_0123", "model": "acme/noir@2", "choices": [{"delta": {"content": 'The "model" rains.\n'}}]},
    {"id": "v_0123", "model": "acme/noir@2", "choices": [], "usage": {"prompt_tokens": 3}},
]
STREAM = b": waiting\n\n" + b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in CHUNKS)
STREAM += b"data: [DONE]\n\n"


class Parts:
    """A stream that comes in parts of some bytes."""

    def __init__(self, size: int) -> None:
        self.parts = iter([STREAM[at : at + size] for at in range(0, len(STREAM), size)])
        self.is_closed = False

    def __aiter__(self):
        return self

    async def __anext__(self) -> bytes:
        for part in self.parts:
            return part
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_names_are_hidden_and_all_else_stays(size):
    stream = Parts(size)
    shown = b"".join([part async for part in hide_model(stream, "acme/noir")])
    assert b"noir" not in shown
    assert b"v_0123" not in shown
    assert shown.startswith(b": waiting\n\ndata: ")
    assert shown.endswith(b"\n\ndata: [DONE]\n\n")
    events = [json.loads(line[6:]) for line in shown.decode().splitlines() if line.startswith("data: {")]
    assert [event["choices"] for event in events] == [chunk["choices"] for chunk in CHUNKS]
    assert events[1]["usage"] == {"prompt_tokens": 3}


async def test_whoever_leaves_stops_the_engine():
    stream = Parts(10)
    hidden = hide_model(stream, "acme/noir")
    async for part in hidden:
        assert part
        break
    await hidden.aclose()
    assert stream.is_closed


async def test_an_error_within_the_stream_names_no_model_either():
    async def failing():
        yield b': waiting\n\ndata: {"error": {"message": "The style `acme/noir` is still being loaded."}}\n\n'

    shown = b"".join([part async for part in hide_model(failing(), "acme/noir")])
    assert b"noir" not in shown
    assert b"is still being loaded" in shown


async def test_what_a_page_is_refused_is_counted_noted_and_told_with_its_id(
    gateway, account, engine, settings, caplog
):
    settings.API_REFUSALS_PER_KEY = 1

    async def answer(body):
        request = RequestFactory().post("/playground/stream/")
        request.scope = {"state": {"gateway": gateway}}
        answered = await answer_call(request, lambda _: Call(account.caller, json.dumps(body).encode()))
        await refusals_written(gateway)
        return answered

    engine.refuses, engine.health = (500, "no"), 503
    failed = await answer(chat(stream=True))
    assert failed.status_code == 502
    assert f"request={failed['x-request-id']} status=502" in caplog.text
    engine.refuses = None
    refused = [await answer(body) for body in ({"model": 3}, chat(n=99), chat())]
    assert [one.status_code for one in refused] == [400, 400, 429]
    noted = account.store.xrange(names.refused_requests_key(account.caller.names.tenant))
    ids = [fields["request"] for _, fields in noted]
    assert ids == [one["x-request-id"] for one in (failed, *refused[:2])]
