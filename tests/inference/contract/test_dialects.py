"""What holds of Anthropic's messages and OpenAI's responses alike, which are chats in another form."""

import json
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import errors
from inference.contract.dialects import anthropic_messages, openai_responses
from tests.inference.contract.builders import (
    DONE,
    STREAMS,
    Source,
    answer,
    anthropic_client,
    grouped,
    message_body,
    openai_client,
    read,
    response_body,
    translate,
)

pytestmark = pytest.mark.usefixtures("taught")

PARSERS = {
    anthropic_messages: (anthropic_messages.parse_messages, message_body),
    openai_responses: (openai_responses.parse_response_request, response_body),
}
LAST = {anthropic_messages: {"message_delta", "message_stop"}, openai_responses: {"response.completed"}}
both = pytest.mark.parametrize("dialect", PARSERS, ids=["messages", "responses"])


def parse(dialect: Any, **changes: object) -> dict[str, Any]:
    """Return the fields of the chat that a request becomes."""
    parser, body = PARSERS[dialect]
    return parser(body(**changes)).fields


@both
@pytest.mark.parametrize("name", STREAMS)
@given(sizes=st.lists(st.integers(1, 5), max_size=8))
async def test_how_events_are_grouped_changes_nothing(dialect, name, sizes):
    whole = await translate(dialect, STREAMS[name])
    assert await translate(dialect, grouped(STREAMS[name], sizes)) == whole


@both
async def test_a_stream_ends_only_after_the_chats_done(dialect):
    for length in range(len(STREAMS["text"])):
        events = read(await translate(dialect, STREAMS["text"][:length]))
        assert not LAST[dialect] & {event["type"] for event in events}


@both
async def test_closing_the_stream_closes_the_chats_stream(dialect):
    source = Source(STREAMS["text"])
    stream = dialect.translate_events(source.events(), b"{}", "req_1")
    await anext(stream)
    await stream.aclose()
    assert source.is_closed
    assert source.yielded < len(STREAMS["text"])


@both
async def test_waiting_comments_are_passed_on(dialect):
    stream = await translate(dialect, STREAMS["waiting"])
    assert stream.startswith(b": waiting\n\n: waiting\n\nevent: ")


@both
@pytest.mark.parametrize("name", ["failed", "failed at once"])
async def test_an_error_in_a_stream_is_raised_by_the_client(dialect, name):
    stream = await translate(dialect, STREAMS[name])
    last = read(stream)[-1]
    assert last["type"] == "error"
    assert DONE not in stream
    assert not LAST[dialect] & {event["type"] for event in read(stream)}
    if dialect is openai_responses:
        assert openai.types.responses.ResponseErrorEvent.model_validate(last).code == "server_is_overloaded"
        with pytest.raises(openai.APIError, match="does not answer"):
            list(openai_client(stream).responses.create(model="poetry", input="Rain?", stream=True))
    else:
        assert anthropic.types.ErrorResponse.model_validate(last).error.type == "overloaded_error"
        raises = pytest.raises(anthropic.APIStatusError, match="does not answer")
        request = json.loads(message_body())
        with anthropic_client(stream).messages.stream(**request) as reading, raises:
            reading.until_done()


@both
@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"a":' * 300 + b"1" + b"}" * 300])
def test_an_unreadable_body_is_a_bad_request(dialect, body):
    with pytest.raises(errors.BadRequest):
        PARSERS[dialect][0](body)


@both
def test_deep_nesting_is_a_bad_request(dialect):
    deep = json.loads("[" * 252 + "]" * 252)
    changes = {"metadata": {"a": [deep]}}
    if dialect is anthropic_messages:
        changes = {"tools": [{"name": "weather", "input_schema": {"enum": deep}}]}
    with pytest.raises(errors.BadRequest, match="deeply"):
        parse(dialect, **changes)


def test_an_answer_can_be_sent_back():
    """As the client has it, with what it says of itself."""
    message = json.loads(anthropic_messages.translate_answer(answer("called"), message_body(), "req_1"))
    used = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": one, "content": "Sun"} for one in used]
    turns = [{"role": "user", "content": "Weather?"}, message, {"role": "user", "content": results}]
    response = json.loads(openai_responses.translate_answer(answer("called"), response_body(), "req_1"))
    called = [item["call_id"] for item in response["output"] if item["type"] == "function_call"]
    outputs = [{"type": "function_call_output", "call_id": one, "output": "Sun"} for one in called]
    items = [{"role": "user", "content": "Weather?"}, *response["output"], *outputs]
    for fields in (parse(anthropic_messages, messages=turns), parse(openai_responses, input=items)):
        roles = [message["role"] for message in fields["messages"]]
        assert roles == ["user", "assistant", "tool", "tool"]
