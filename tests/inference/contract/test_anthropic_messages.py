"""Anthropic's dialect, checked by the models and the stream reader of Anthropic's own client."""

import json

import anthropic
import httpx2
import pytest
from anthropic.lib.threads._thread_state import _unsupported_features
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from inference import errors
from inference.contract import tokenizer
from inference.contract.dialects import anthropic_messages
from tests.inference.contract.builders import (
    STREAMS,
    WHOLE,
    answer,
    anthropic_client,
    message_body,
    read,
    translate,
)

pytestmark = pytest.mark.usefixtures("taught")

EVENTS = TypeAdapter(RawMessageStreamEvent)
WEATHER = {
    "name": "weather", "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}  # fmt: skip


def parse(**changes):
    return anthropic_messages.parse_messages(message_body(**changes))


def count_tokens(**changes):
    return anthropic_messages.parse_count_tokens(message_body(**changes))


def translated(name, **changes) -> bytes:
    """The answer to a request, of a chat that one of the streams has in pieces."""
    return anthropic_messages.translate_answer(answer(name), message_body(**changes), "req_1")


def test_a_request_becomes_a_chat():
    body = message_body(
        system=[{"type": "text", "text": "Be"}, {"type": "text", "text": "short."}], stop_sequences=["\n"],
        temperature=0.5, top_p=0.9, top_k=5, stream=True, metadata={"user_id": "7"}, service_tier="auto",
    )  # fmt: skip
    chat = anthropic_messages.parse_messages(body)
    assert (chat.kind, chat.model, chat.stream, chat.include_usage) == ("chat", "poetry", True, True)
    assert (chat.output_tokens, chat.choices, chat.user) == (40, 1, "7")
    assert chat.fields["messages"] == [
        {"role": "system", "content": "Be\nshort."},
        {"role": "user", "content": "Rain?"},
    ]
    options = {"stop": ["\n"], "temperature": 0.5, "top_p": 0.9, "top_k": 5, "max_tokens": 40}
    assert {name: value for name, value in chat.fields.items() if name != "messages"} == options
    assert chat.body_bytes >= len(body)


def test_tools_are_called_and_answered():
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Weather?", "cache_control": {"type": "x"}}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "x"},
                {"type": "tool_use", "id": "call_0", "name": "weather", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "call_1", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_0", "content": "Sun"},
                {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "?"}]},
                {"type": "text", "text": "And now?"},
            ],
        },
    ]
    chat = parse(messages=messages, tools=[WEATHER | {"strict": True}])
    _, assistant, *results = chat.fields["messages"]
    assert assistant["content"] is None
    assert [call["id"] for call in assistant["tool_calls"]] == ["call_0", "call_1"]
    assert [call["function"]["arguments"] for call in assistant["tool_calls"]] == ['{"city":"Rome"}', "{}"]
    assert results == [
        {"role": "tool", "tool_call_id": "call_0", "content": "Sun"},
        {"role": "tool", "tool_call_id": "call_1", "content": "?"},
        {"role": "user", "content": "And now?"},
    ]
    function = {
        "name": "weather", "parameters": WEATHER["input_schema"], "description": "Tells the weather.",
        "strict": True,
    }  # fmt: skip
    assert chat.fields["tools"] == [{"type": "function", "function": function}]
    assert chat.fields["tool_choice"] == "auto"


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "auto", "disable_parallel_tool_use": True}, "auto"),
        ({"type": "tool", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_tool_choice_is_translated(choice, chosen):
    fields = parse(tools=[WEATHER], tool_choice=choice).fields
    assert fields["tool_choice"] == chosen
    # One call where it is forced: a small model would repeat it until the limit.
    assert fields.get("parallel_tool_calls") == (None if chosen == "none" else False)


def test_an_output_format_becomes_a_response_format():
    config = {"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "low"}
    wanted = {"name": "answer", "schema": {"type": "object"}, "strict": True}
    sent = parse(output_config=config).fields["response_format"]
    assert sent == {"type": "json_schema", "json_schema": wanted}


def block(**facts) -> list[dict]:
    return [{"role": "user", "content": [{"type": "text", "text": "See:"}, facts]}]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"max_tokens": ...}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"model": ...}, "model"),
        ({"messages": ...}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["Rain?"]}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": block(type="image", source={"type": "url", "url": "http://x"})},
            "messages[0].content[1]",
        ),
        ({"messages": block(type="document", source={})}, "messages[0].content[1]"),
        ({"messages": block(type="text", text=1)}, "messages[0].content[1].text"),
        ({"messages": block(type="tool_use", id="1", name="x", input={})}, "messages[0].content[1]"),
        ({"messages": block(type="tool_result")}, "messages[0].content[1].tool_use_id"),
        (
            {"messages": block(type="tool_result", tool_use_id="1", content=[{"type": "image"}])},
            "messages[0].content[1].content[0]",
        ),
        ({"messages": [{"role": "assistant", "content": "I say:"}]}, "messages"),
        ({"system": [{"type": "image"}]}, "system[0]"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"temperature": "hot"}, "temperature"),
        ({"tools": "weather"}, "tools"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": "auto"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": ["any"]}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"url": "http://x"}]}, "mcp_servers"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format"),
        ({"output_config": "x"}, "output_config"),
        ({"metadata": "x"}, "metadata"),
        ({"thinking": "enabled"}, "thinking"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "any", "disable_parallel_tool_use": "no"}},
            "tool_choice.disable_parallel_tool_use",
        ),
    ],
)
def test_an_invalid_field_is_named(changes, param):
    with pytest.raises(errors.BadRequest) as raised:
        parse(**changes)
    assert raised.value.param == param
    assert f"`{param}`" in raised.value.message or param == "tools[0]"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tools": [WEATHER | {"input_examples": [{"city": "Rome"}]}]}, "tools[0].input_examples"),
        ({"tools": [WEATHER | {"defer_loading": True}]}, "tools[0].defer_loading"),
        ({"output_config": {"task_budget": {"total": 9}}}, "output_config.task_budget"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {}, "x": 1}}},
            "output_config.format.x",
        ),
        ({"messages": [{"role": "user", "content": "Rain?", "prefix": "Sun"}]}, "messages[0].prefix"),
        (
            {"messages": block(type="text", text="x", image_url="http://x")},
            "messages[0].content[1].image_url",
        ),
        (
            {"messages": block(type="tool_result", tool_use_id="1", toolset_name="x")},
            "messages[0].content[1].toolset_name",
        ),
        (
            {"messages": block(type="tool_result", tool_use_id="1", is_error="no")},
            "messages[0].content[1].is_error",
        ),
    ],
)
def test_what_is_inside_a_field_and_would_change_the_answer_is_named(changes, named):
    asked = {"tools": [WEATHER], "tool_choice": {"type": "any"}} | changes
    with pytest.raises(errors.BadRequest) as raised:
        parse(**asked)
    assert f"`{named}`" in raised.value.message


def clearing(**trigger) -> dict:
    return {"edits": [{"type": "clear_tool_uses_20250919"} | ({"trigger": trigger} if trigger else {})]}


CALLED = [
    {"role": "user", "content": "Rain?"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "weather", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "Wet."}]},
]


@pytest.mark.parametrize("parse_form", [parse, count_tokens])
def test_tool_uses_are_cleared_by_nobody_so_only_edits_that_clear_none_are_taken(parse_form):
    for edits in (
        clearing(),
        clearing(type="input_tokens", value=3000),
        clearing(type="tool_uses", value=1),
    ):
        assert parse_form(messages=CALLED, context_management=edits).fields["messages"]
    for edits in (
        clearing(type="input_tokens", value=20),
        clearing(type="tool_uses", value=0),
        clearing(type="input_tokens", value="many"),
    ):
        with pytest.raises(errors.BadRequest) as raised:
            parse_form(messages=CALLED, context_management=edits)
        assert raised.value.param == "context_management"
    long = [{"role": "user", "content": "rain " * 30_000}]
    with pytest.raises(errors.BadRequest):
        parse_form(messages=long, context_management=clearing())


def test_the_tool_runner_is_told_to_go_on_without_threads():
    """In the words that Anthropic's client reads: with others it gives up at its first request."""
    with pytest.raises(errors.BadRequest) as refused:
        parse(thread={"type": "create"})
    _, body, _ = anthropic_messages.error(refused.value)
    wire = httpx2.Response(400, content=body, request=httpx2.Request("POST", "http://gateway/v1/messages"))
    said = anthropic.BadRequestError("no", response=wire, body=json.loads(body))
    assert _unsupported_features(said) == ["thread"]


@pytest.mark.parametrize(("content", "read"), [("No such city", "Error: No such city"), (None, "Error: ")])
def test_the_model_reads_that_a_tool_failed(content, read):
    failed = {"type": "tool_result", "tool_use_id": "call_0", "content": content, "is_error": True}
    asked = message_body(messages=[{"role": "user", "content": [failed, failed | {"is_error": False}]}])
    results = anthropic_messages.parse_messages(asked).fields["messages"]
    assert [message["content"] for message in results] == [read, content or ""]


def test_hints_inside_a_field_change_nothing():
    hints = {"cache_control": {"type": "ephemeral"}, "eager_input_streaming": True, "defer_loading": False}
    asked = {"tool_choice": {"type": "any"}, "output_config": {"effort": "low"}}
    plain, hinted = (parse(tools=[tool], **asked).fields for tool in (WEATHER, WEATHER | hints))
    assert hinted == plain


@pytest.mark.parametrize(
    ("name", "reason", "sequence", "kinds"),
    [
        ("text", "end_turn", None, ["text"]),
        ("cut", "max_tokens", None, ["text"]),
        ("stopped", "stop_sequence", "\n", ["text"]),
        ("called", "tool_use", None, ["text", "tool_use", "tool_use"]),
        ("only called", "tool_use", None, ["tool_use", "tool_use"]),
        ("call cut", "max_tokens", None, ["text", "tool_use"]),
        ("nothing", "end_turn", None, []),
    ],
)
def test_a_whole_answer_becomes_a_message(name, reason, sequence, kinds):
    message = Message.model_validate_json(translated(name))
    assert (message.id, message.model, message.stop_reason) == ("msg_1", "poetry", reason)
    assert message.stop_sequence == sequence
    assert [block.type for block in message.content] == kinds
    assert [block.input for block in message.content if block.type == "tool_use"] == (
        [{"city": "Rome"}, {"city": "Oslo"}][: kinds.count("tool_use")]
    )
    usage = message.usage
    assert (usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (
        7,
        8,
        16,
    )
    assert usage.output_tokens == 7


@pytest.mark.parametrize("arguments", ['{"city": "Ro', "true", ""])
def test_tool_arguments_that_are_no_object_become_an_empty_object(arguments):
    chat = json.loads(answer("only called"))
    chat["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = arguments
    message = Message.model_validate_json(
        anthropic_messages.translate_answer(json.dumps(chat).encode(), message_body(), "req_1")
    )
    assert message.content[0].input == {}


@pytest.mark.parametrize("name", WHOLE)
async def test_a_stream_is_read_by_the_client_as_the_whole_answer(name):
    stream = await translate(anthropic_messages, STREAMS[name])
    for event in read(stream):
        EVENTS.validate_python(event)
    with anthropic_client(stream).messages.stream(**json.loads(message_body())) as reading:
        streamed = reading.get_final_message()
    whole = json.loads(translated(name))
    facts = streamed.model_dump(exclude_none=True)
    assert facts == Message.model_validate(whole).model_dump(exclude_none=True)
    assert facts["usage"] == whole["usage"]


async def test_the_events_of_a_stream_are_in_order():
    kinds = [event["type"] for event in read(await translate(anthropic_messages, STREAMS["called"]))]
    started = ["content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"]
    short = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert kinds == ["message_start", *started, *started, *short, "message_delta", "message_stop"]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.BadRequest("No.", param="system"), 400, "invalid_request_error"),
        (errors.ContextTooLong(max_model_len=8), 400, "invalid_request_error"),
        (errors.RevokedKey(), 401, "authentication_error"),
        (errors.Suspended(), 403, "permission_error"),
        (errors.UnknownModel(model="x"), 404, "not_found_error"),
        (errors.TooLarge(limit_bytes=1), 413, "request_too_large"),
        (errors.Limited(retry_s=3), 429, "rate_limit_error"),
        (errors.EngineUnavailable(), 529, "overloaded_error"),
        (errors.LimitsUnavailable(), 529, "overloaded_error"),
        (errors.DomainError(), 500, "api_error"),
    ],
)
def test_errors_in_anthropics_form(error, status, kind):
    answered, body, headers = anthropic_messages.error(error)
    assert answered == status
    assert json.loads(body) == {"type": "error", "error": {"type": kind, "message": error.message}}
    wait = dict(headers).get(b"retry-after")
    assert wait == {429: b"3", 529: b"2"}.get(status)


def test_count_tokens_needs_no_max_tokens():
    assert anthropic_messages.parse_count_tokens(message_body(max_tokens=...)).fields["messages"]


def test_tokens_are_counted_with_the_base_models_template_and_tokenizer(settings, tmp_path):
    settings.BASE_MODEL_DIR = tmp_path
    long = anthropic_messages.parse_count_tokens(
        message_body(messages=[{"role": "user", "content": "word " * 100}])
    )
    assert tokenizer.count_prompt_tokens(long) == long.prompt_bound()
    words = Tokenizer(WordLevel({"word": 0, "[user]": 1, "[end]": 2, "?": 3}, unk_token="?"))
    words.pre_tokenizer = WhitespaceSplit()
    words.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "chat_template.jinja").write_text(
        "{% for m in messages %}[{{ m.role }}] {{ m.content }} [end] {% endfor %}"
        "{% if add_generation_prompt %}[user]{% endif %}"
    )
    assert tokenizer.count_prompt_tokens(long) == 1 + 100 + 1 + 1
