"""Anthropic's official client, and OpenAI's for its newer form, against the whole stack."""

import json
from collections.abc import Iterator

import anthropic
import openai
import pytest

from stack.pages import Session
from tests.journeys.builders import QUESTION, WEATHER, Sky, assert_a_hang_up_is_billed, billed
from tests.journeys.conftest import Writer

GREEDY = {"extra_body": {"temperature": 0}}  # Anthropic's client no longer knows it, its form does
ASKED = {"model": "poetry", "messages": QUESTION, "max_tokens": 24} | GREEDY
SAID = {"model": "poetry", "input": QUESTION[0]["content"], "max_output_tokens": 24, "temperature": 0}
PARAMETERS = WEATHER["function"]["parameters"]
BLOCKS = [{"type": "text", "text": text} for text in (" a", "b ")]
TOOL = {"name": "weather", "strict": True, "input_schema": PARAMETERS}
FUNCTION = {"type": "function", "name": "weather", "strict": True, "parameters": PARAMETERS}


IMAGE = {"type": "image", "source": {"type": "url", "url": "x"}}


def user(content: object) -> list[dict[str, object]]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": content}]


def client_of(writer: Writer, **options: object) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=writer.site, api_key=writer.api_key, max_retries=0, timeout=120, **options
    )


@pytest.fixture(scope="module")
def claude(demo) -> Iterator[anthropic.Anthropic]:
    with client_of(demo) as client:
        yield client


def request_of(answer) -> str:
    """The request that an answer came of: its id has the same number."""
    return f"req_{answer.id.partition('_')[2]}"


def counts(usage) -> tuple[int, int]:
    """What Anthropic's form says was read and written, whether a cache had it or not."""
    read = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    return usage.input_tokens + read, usage.output_tokens


def test_a_message_is_answered_as_a_chat_is(demo, claude):
    chat = demo.say("poetry", QUESTION[0]["content"], max_tokens=24, temperature=0)
    message = claude.messages.create(**ASKED)
    assert (message.model, message.content[0].text) == ("poetry", chat)
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert billed(demo, request_of(message)) == counts(message.usage)


def test_a_message_is_streamed(demo, claude):
    whole = claude.messages.create(**ASKED)
    with claude.messages.stream(**ASKED) as stream:
        texts = list(stream.text_stream)
        message = stream.get_final_message()
    assert len(texts) > 1
    assert "".join(texts) == message.content[0].text == whole.content[0].text
    assert message.stop_reason == whole.stop_reason
    assert counts(message.usage) == counts(whole.usage) == billed(demo, request_of(message))


def test_a_message_ends_at_a_stop_sequence(claude):
    text = claude.messages.create(**ASKED).content[0].text
    word = text.split()[3]
    for stream in (False, True):
        if stream:
            with claude.messages.stream(**ASKED, stop_sequences=[word]) as events:
                message = events.get_final_message()
        else:
            message = claude.messages.create(**ASKED, stop_sequences=[word])
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", word)
        assert message.content[0].text == text[: text.index(word)]


def test_a_conversation_with_a_system_text(demo, claude):
    turns = [
        *QUESTION,
        {"role": "assistant", "content": "It scatters."},
        {"role": "user", "content": "What?"},
    ]
    blocks = [{"type": "text", "text": "You are a poet.", "cache_control": {"type": "ephemeral"}}]
    message = claude.messages.create(**ASKED | {"messages": turns}, system=blocks)
    chat = demo.client.chat.completions.create(
        **ASKED | {"messages": [{"role": "system", "content": "You are a poet."}, *turns]}
    )
    assert message.content[0].text == chat.choices[0].message.content
    assert counts(message.usage) == (chat.usage.prompt_tokens, chat.usage.completion_tokens)


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}])
def test_a_tool_is_used_in_a_message(claude, choice):
    forced = choice | {"disable_parallel_tool_use": True}
    asked = ASKED | {"tools": [TOOL], "tool_choice": forced, "max_tokens": 120}
    with claude.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for message in (claude.messages.create(**asked), streamed):
        [used] = message.content
        assert (message.stop_reason, used.type, used.name) == ("tool_use", "tool_use", "weather")
        assert used.input["city"] in ("Oslo", "Rome")
    told = {"type": "tool_result", "tool_use_id": used.id, "content": "It rains."}
    turns = [*QUESTION, streamed.to_param(), {"role": "user", "content": [told]}]
    answer = claude.messages.create(
        **ASKED | {"messages": turns, "tools": [TOOL], "tool_choice": {"type": "none"}}
    )
    assert answer.content[0].text


def test_a_message_of_a_schema(claude):
    message = claude.messages.parse(**ASKED | {"max_tokens": 60}, output_format=Sky)
    assert message.parsed_output.colour in ("blue", "red")


@pytest.mark.parametrize(
    "turns",
    [
        user("The sea is wide and deep. " * 40),
        [
            *QUESTION,
            {"role": "assistant", "content": "Ünïcödé 😀\n\n  "},
            {"role": "user", "content": BLOCKS},
        ],
    ],
)
@pytest.mark.parametrize("system", [{}, {"system": "Be short."}])
def test_tokens_of_a_message_are_counted_exactly(claude, turns, system):
    counted = claude.messages.count_tokens(model="poetry", messages=turns, **system).input_tokens
    asked = ASKED | {"messages": turns, "max_tokens": 1} | system
    assert counted == counts(claude.messages.create(**asked).usage)[0]
    events = list(claude.messages.create(**asked, stream=True))
    assert events[0].type == "message_start"
    assert counted == events[0].message.usage.input_tokens


@pytest.mark.parametrize(
    ("changes", "error", "kind"),
    [
        ({"model": "nobody/nothing"}, anthropic.NotFoundError, "not_found_error"),
        ({"messages": []}, anthropic.BadRequestError, "invalid_request_error"),
        ({"extra_body": {"temperature": 9}}, anthropic.BadRequestError, "invalid_request_error"),
        ({"messages": user("word " * 3000)}, anthropic.BadRequestError, "invalid_request_error"),
        ({"messages": user([IMAGE])}, anthropic.BadRequestError, "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_errors_of_messages_are_anthropics(claude, changes, error, kind, stream):
    with pytest.raises(error) as raised:
        claude.messages.create(**ASKED | changes, stream=stream)
    assert raised.value.body["type"] == "error"
    assert raised.value.body["error"]["type"] == kind
    assert raised.value.body["error"]["message"]


def test_a_key_of_messages_that_is_wrong_is_refused(demo, claude):
    with pytest.raises(anthropic.AuthenticationError) as raised:
        claude.with_options(api_key="sk-ps-nonsense").messages.create(**ASKED)
    assert raised.value.body["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_a_key_comes_in_either_header(demo, header):
    body = {"model": "poetry", "messages": QUESTION, "max_tokens": 4}
    value = demo.api_key if header == "x-api-key" else f"Bearer {demo.api_key}"
    with Session(base_url=demo.site, timeout=120) as http:
        answer = http.post("/v1/messages", headers={header: value}, json=body)
    assert (answer.status_code, answer.json()["type"]) == (200, "message")
    assert answer.headers["request-id"] == answer.headers["x-request-id"] == f"req_{answer.json()['id'][4:]}"


def test_a_limit_of_messages_is_anthropics(stranger):
    def hurry() -> None:
        with client_of(stranger) as client:
            for _ in range(30):
                client.messages.create(**ASKED | {"model": "base", "max_tokens": 1})

    with pytest.raises(anthropic.RateLimitError) as raised:
        hurry()
    assert raised.value.body["error"]["type"] == "rate_limit_error"
    assert int(raised.value.response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("form", ["messages", "responses"])
def test_a_hang_up_is_billed_what_was_made(stranger, form):
    if form == "messages":
        client = client_of(stranger)
        stream = client.messages.create(**ASKED | {"model": "base", "max_tokens": 400}, stream=True)
    else:
        client = stranger.client
        stream = client.responses.create(**SAID | {"model": "base", "max_output_tokens": 400}, stream=True)
    for _ in range(8):
        next(stream)
    stream.close()
    client.close()
    assert_a_hang_up_is_billed(stranger)


def test_a_response_is_answered_as_a_chat_is(demo):
    chat = demo.say("poetry", SAID["input"], max_tokens=24, temperature=0)
    response = demo.client.responses.create(**SAID, metadata={"poem": "7"}, store=True)
    assert (response.model, response.output_text) == ("poetry", chat)
    assert (response.metadata, response.status) in [
        ({"poem": "7"}, each) for each in ("completed", "incomplete")
    ]
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert billed(demo, request_of(response)) == (usage.input_tokens, usage.output_tokens)


def test_a_response_is_streamed(demo):
    whole = demo.client.responses.create(**SAID)
    events = list(demo.client.responses.create(**SAID, stream=True))
    texts = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(texts) > 1
    assert "".join(texts) == whole.output_text == events[-1].response.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    usage = events[-1].response.usage
    assert billed(demo, request_of(events[-1].response)) == (usage.input_tokens, usage.output_tokens)


def test_a_response_that_was_cut_says_so(demo):
    options = SAID | {"max_output_tokens": 3}
    *_, last = demo.client.responses.create(**options, stream=True)
    assert last.type == "response.incomplete"
    for response in (last.response, demo.client.responses.create(**options)):
        assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert response.usage.output_tokens == 3


def test_a_response_of_a_schema_is_parsed_into_its_class(demo):
    options = SAID | {"max_output_tokens": 60}
    response = demo.client.responses.parse(**options, text_format=Sky)
    assert response.output_parsed.colour in ("blue", "red")
    with demo.client.responses.stream(**options, text_format=Sky) as stream:
        assert stream.get_final_response().output_parsed == response.output_parsed


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "weather"}])
def test_a_function_is_called_in_a_response(demo, choice):
    forced = {"tools": [FUNCTION], "tool_choice": choice, "parallel_tool_calls": False}
    options = SAID | forced | {"max_output_tokens": 120}
    with demo.client.responses.stream(**options) as stream:
        streamed = stream.get_final_response()
    for response in (demo.client.responses.create(**options), streamed):
        [call] = response.output
        assert (call.type, call.name) == ("function_call", "weather")
        assert json.loads(call.arguments)["city"] in ("Oslo", "Rome")
    told = {"type": "function_call_output", "call_id": call.call_id, "output": "It rains."}
    turns = [*QUESTION, call.to_dict(), told]
    assert demo.client.responses.create(**SAID | {"input": turns}, instructions="Be short.").output_text


def test_a_response_builds_on_one_that_is_stored(demo):
    demo.store_responses()
    first = demo.client.responses.create(**SAID)
    second = demo.client.responses.create(**SAID, previous_response_id=first.id)
    # The base's template renders both turns: the whole input is counted and billed.
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens
    assert billed(demo, request_of(second)) == (second.usage.input_tokens, second.usage.output_tokens)
    assert demo.client.responses.retrieve(second.id) == second
    conversation = demo.client.conversations.create()
    *_, last = demo.client.responses.create(**SAID, conversation=conversation.id, stream=True)
    items = demo.client.conversations.items.list(conversation.id, order="asc").data
    assert [item.content[0].text for item in items] == [SAID["input"], last.response.output_text]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"background": True}, "background"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": []}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_what_a_response_cannot_have_is_named(demo, changes, param):
    with pytest.raises(openai.BadRequestError) as raised:
        demo.client.responses.create(**SAID | changes)
    assert raised.value.param == param


def test_an_unknown_style_has_no_responses(demo):
    with pytest.raises(openai.NotFoundError) as raised:
        demo.client.responses.create(**SAID | {"model": "nobody/nothing"})
    assert raised.value.code == "model_not_found"
