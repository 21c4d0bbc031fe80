"""OpenAI's responses, checked by the models and the stream reader of OpenAI's own client."""

import json

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from inference import errors
from inference.contract.dialects import openai_responses
from tests.inference.contract.builders import (
    STREAMS,
    WHOLE,
    answer,
    openai_client,
    read,
    response_body,
    translate,
)

pytestmark = pytest.mark.usefixtures("taught")

EVENTS = TypeAdapter(ResponseStreamEvent)
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": PARAMETERS,
}


def parse(**changes):
    return openai_responses.parse_response_request(response_body(**changes))


def translated(name, **changes) -> bytes:
    """The answer to a request, of a chat that one of the streams has in pieces."""
    return openai_responses.translate_answer(answer(name), response_body(**changes), "req_1")


def test_a_request_becomes_a_chat():
    body = response_body(
        instructions="Be short.", max_output_tokens=40, temperature=0.5, top_p=0.9, stop=["\n"], seed=7,
        stream=True, store=True, metadata={"a": "b"}, user="u", reasoning={"effort": "low"},
        include=["reasoning.encrypted_content"], truncation="auto", service_tier="auto",
    )  # fmt: skip
    chat = openai_responses.parse_response_request(body)
    assert (chat.kind, chat.model, chat.stream, chat.include_usage) == ("chat", "poetry", True, True)
    assert (chat.output_tokens, chat.choices, chat.user) == (40, 1, "u")
    assert chat.fields["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Rain?"},
    ]
    options = {"max_tokens": 40, "temperature": 0.5, "top_p": 0.9, "stop": ["\n"], "seed": 7}
    assert {name: value for name, value in chat.fields.items() if name != "messages"} == options
    assert chat.body_bytes >= len(body)


def test_a_conversation_with_calls_becomes_a_chat():
    said = {"type": "output_text", "text": "I ask.", "annotations": []}
    items = [
        {"role": "developer", "content": "Be short."},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "A"}, {"type": "input_text", "text": "B"}],
        },
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [said]},
        {"type": "function_call", "call_id": "c0", "name": "weather", "arguments": '{"city":"Rome"}'},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c0", "output": "Sun"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "?"}]},
        {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": "{}"},
    ]
    system, user, assistant, *results, again = parse(input=items).fields["messages"]
    assert system == {"role": "system", "content": "Be short."}
    assert user == {"role": "user", "content": "A\nB"}
    assert assistant["content"] == "I ask."
    assert [call["id"] for call in assistant["tool_calls"]] == ["c0", "c1"]
    assert assistant["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":"Rome"}'}
    assert results == [
        {"role": "tool", "tool_call_id": "c0", "content": "Sun"},
        {"role": "tool", "tool_call_id": "c1", "content": "?"},
    ]
    assert (again["content"], again["tool_calls"][0]["id"]) == (None, "c2")


@pytest.mark.parametrize("choice", ["auto", "none", "required", {"type": "function", "name": "weather"}])
def test_tools_are_translated(choice):
    fields = parse(tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False).fields
    function = {
        "name": "weather", "description": "Tells the weather.", "parameters": PARAMETERS, "strict": True,
    }  # fmt: skip
    assert fields["tools"] == [{"type": "function", "function": function}]
    named = {"type": "function", "function": {"name": "weather"}}
    assert fields["tool_choice"] == (named if isinstance(choice, dict) else choice)
    assert fields["parallel_tool_calls"] is False
    loose = parse(tools=[WEATHER | {"strict": False}]).fields["tools"]
    assert loose[0]["function"]["strict"] is False


def test_a_call_that_the_limit_cuts_is_incomplete():
    whole = Response.model_validate_json(translated("call cut"))
    [text, call] = whole.output
    assert (whole.status, whole.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (text.status, call.status, call.name) == ("completed", "incomplete", "weather")
    assert call.arguments == '{"city": "Rome", "day": "Mon'


def test_a_text_format_becomes_a_response_format():
    schema = {"name": "poem", "schema": {"type": "object"}, "strict": True}
    for wanted, sent in [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "json_object"}),
        ({"type": "json_schema", **schema}, {"type": "json_schema", "json_schema": schema}),
    ]:
        fields = parse(text={"format": wanted, "verbosity": "medium"}).fields
        assert fields.get("response_format") == sent


def said(**part) -> list[dict]:
    return [{"role": "user", "content": [{"type": "input_text", "text": "See:"}, part]}]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": ...}, "model"),
        ({"input": ...}, "input"),
        ({"input": []}, "input"),
        ({"input": ["Rain?"]}, "input"),
        ({"input": said(type="input_image", image_url="http://x")}, "input[0].content[1]"),
        ({"input": said(type="input_file", file_id="f")}, "input[0].content[1]"),
        ({"input": said(type="input_text")}, "input[0].content[1].text"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": ["message"]}]}, "input[0]"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "x"}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"instructions": ["x"]}, "instructions"),
        ({"background": True}, "background"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"truncation": "last"}, "truncation"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format"),
        ({"text": {"format": "json_schema"}}, "text.format"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": {}, "tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function"}}, "tool_choice.name"),
    ],
)
def test_an_invalid_field_is_named(changes, param):
    with pytest.raises(errors.BadRequest) as raised:
        parse(**changes)
    assert raised.value.param == param
    assert f"`{param.removesuffix('.type')}" in raised.value.message


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tools": [WEATHER | {"defer_loading": True}]}, "tools[0].defer_loading"),
        ({"text": {"format": {"type": "json_object", "schema": {}}}}, "text.format.schema"),
        ({"text": {"format": {"type": "text", "name": "x"}}}, "text.format.name"),
        ({"text": {"formats": "x"}}, "text.formats"),
        ({"text": "json_object"}, "text"),
        ({"include": "message.output_text.logprobs"}, "include"),
        ({"input": [{"role": "user", "content": "x", "audio": {"id": "a"}}]}, "input[0].audio"),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "x", "is_error": True}]},
            "input[0].is_error",
        ),
    ],
)
def test_what_is_inside_a_field_and_would_change_the_answer_is_named(changes, named):
    with pytest.raises(errors.BadRequest) as raised:
        parse(tool_choice="required", **{"tools": [WEATHER]} | changes)
    assert f"`{named}`" in raised.value.message


@pytest.mark.parametrize(
    ("name", "status", "kinds"),
    [
        ("text", "completed", ["message"]),
        ("cut", "incomplete", ["message"]),
        ("stopped", "completed", ["message"]),
        ("called", "completed", ["message", "function_call", "function_call"]),
        ("only called", "completed", ["function_call", "function_call"]),
        ("nothing", "completed", []),
    ],
)
def test_a_whole_answer_becomes_a_response(name, status, kinds):
    response = Response.model_validate_json(translated(name))
    assert (response.id, response.model, response.status) == ("resp_1", "poetry", status)
    assert [item.type for item in response.output] == kinds
    assert response.output_text == ("Rain fälls\n\n" if "message" in kinds else "")
    assert [item.arguments for item in response.output if item.type == "function_call"] == (
        ['{"city": "Rome"}', '{"city": "Oslo"}'] if "function_call" in kinds else []
    )
    reason = response.incomplete_details and response.incomplete_details.reason
    assert reason == ("max_output_tokens" if status == "incomplete" else None)
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (31, 7, 38)
    assert usage.input_tokens_details.cached_tokens == 16
    assert usage.input_tokens_details.cache_write_tokens == 8


def test_a_response_repeats_its_request():
    wanted = {
        "instructions": "Be short.", "metadata": {"a": "b"}, "user": "u", "tools": [WEATHER], "top_p": 0.5,
        "tool_choice": "required", "max_output_tokens": 9, "parallel_tool_calls": False,
    }  # fmt: skip
    whole = json.loads(translated("text", **wanted))
    assert {name: whole[name] for name in wanted} == wanted
    assert whole["text"] == {"format": {"type": "text"}}
    assert (whole["store"], whole["previous_response_id"]) == (False, None)


@pytest.mark.parametrize("name", WHOLE)
async def test_a_stream_ends_with_the_whole_answer(name):
    events = read(await translate(openai_responses, STREAMS[name], response_body()))
    for event in events:
        EVENTS.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"] == json.loads(translated(name))
    assert events[-1]["type"] == f"response.{events[-1]['response']['status']}"


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in ("cut", "call cut")])
async def test_a_stream_is_read_by_the_client(name):
    client = openai_client(await translate(openai_responses, STREAMS[name], response_body()))
    tools = [WEATHER | {"strict": True}]
    with client.responses.stream(model="poetry", input="Rain?", tools=tools) as reading:
        texts = [event.delta for event in reading if event.type == "response.output_text.delta"]
        response = reading.get_final_response()
    assert "".join(texts) == response.output_text
    assert response.usage.total_tokens == 38
    turns = [{"role": "user", "content": "Rain?"}, *(item.to_dict() for item in response.output)]
    assert parse(input=turns)


async def test_the_client_reads_that_a_stream_is_incomplete():
    client = openai_client(await translate(openai_responses, STREAMS["cut"], response_body()))
    *_, last = client.responses.create(model="poetry", input="Rain?", stream=True)
    assert (last.type, last.response.output_text) == ("response.incomplete", "Rain fälls\n\n")


async def test_the_events_of_a_stream_are_in_order():
    kinds = [
        event["type"].removeprefix("response.")
        for event in read(await translate(openai_responses, STREAMS["called"]))
    ]
    text = ["content_part.added", "output_text.delta", "output_text.delta", "output_text.done",
            "content_part.done"]  # fmt: skip
    call = ["function_call_arguments.delta"] * 2 + ["function_call_arguments.done"]
    items = [["output_item.added", *inside, "output_item.done"] for inside in (text, call, call[1:])]
    assert kinds == ["created", "in_progress", *(kind for item in items for kind in item), "completed"]
