"""What only one form has: Anthropic's messages and OpenAI's responses, by their clients."""

import pytest

from stack.api import Session
from tests.journeys.builders import QUESTION, billed
from tests.journeys.dialects import DIALECTS

MESSAGES, RESPONSES = DIALECTS["messages"], DIALECTS["responses"]
TURNS = [
    *QUESTION,
    {"role": "assistant", "content": "Ünïcödé 😀\n\n  "},
    {"role": "user", "content": [{"type": "text", "text": text} for text in (" a", "b ")]},
]


def test_a_message_ends_at_a_stop_sequence(demo):
    text = MESSAGES.whole(demo, MESSAGES.asked()).text
    word = text.split()[3]
    asked = MESSAGES.asked(stop_sequences=[word])
    with demo.claude.messages.stream(**asked) as events:
        streamed = events.get_final_message()
    for message in (demo.claude.messages.create(**asked), streamed):
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", word)
        assert message.content[0].text == text[: text.index(word)]


def test_a_conversation_with_a_system_text(demo):
    turns = [
        *QUESTION,
        {"role": "assistant", "content": "It scatters."},
        {"role": "user", "content": "What?"},
    ]
    chat = DIALECTS["chat"]
    system = {"role": "system", "content": "You are a poet."}
    told = chat.whole(demo, chat.asked(messages=[system, *turns]))
    blocks = [{"type": "text", "text": "You are a poet.", "cache_control": {"type": "ephemeral"}}]
    message = MESSAGES.whole(demo, MESSAGES.asked(messages=turns, system=blocks))
    response = RESPONSES.whole(demo, RESPONSES.asked(input=turns, instructions="You are a poet."))
    assert message.text == response.text == told.text
    assert message.tokens == response.tokens == told.tokens


@pytest.mark.parametrize("system", [{}, {"system": "Be short."}], ids=["plain", "system"])
def test_tokens_of_a_message_are_counted_exactly(demo, system):
    for turns in ([{"role": "user", "content": "The sea is wide and deep. " * 40}], TURNS):
        counted = demo.claude.messages.count_tokens(model="poetry", messages=turns, **system).input_tokens
        asked = MESSAGES.asked(messages=turns, max_tokens=1) | system
        assert MESSAGES.whole(demo, asked).tokens[0] == counted
        began, *_ = demo.claude.messages.create(**asked, stream=True)
        usage = began.message.usage
        assert (began.type, usage.input_tokens + usage.cache_read_input_tokens) == ("message_start", counted)


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_a_key_comes_in_either_header(demo, header):
    body = {"model": "poetry", "messages": QUESTION, "max_tokens": 4}
    value = demo.api_key if header == "x-api-key" else f"Bearer {demo.api_key}"
    with Session(base_url=demo.site, timeout=600) as http:
        answer = http.post("/v1/messages", headers={header: value}, json=body)
    assert (answer.status_code, answer.json()["type"]) == (200, "message")
    assert answer.headers["request-id"] == answer.headers["x-request-id"] == f"req_{answer.json()['id'][4:]}"


def test_a_response_builds_on_one_that_is_stored(demo):
    demo.store_responses()
    first = demo.client.responses.create(**RESPONSES.asked(metadata={"poem": "7"}))
    assert first.metadata == {"poem": "7"}
    second = RESPONSES.whole(demo, RESPONSES.asked(previous_response_id=first.id))
    # The base's template renders both turns: the whole input is counted and billed.
    assert second.tokens[0] > first.usage.input_tokens + first.usage.output_tokens
    assert billed(demo, second.request_id) == second.tokens
    assert demo.client.responses.retrieve(second.answer.id) == second.answer
    conversation = demo.client.conversations.create()
    said = RESPONSES.streamed(demo, RESPONSES.asked(conversation=conversation.id))
    items = demo.client.conversations.items.list(conversation.id, order="asc").data
    assert [item.content[0].text for item in items] == [QUESTION[0]["content"], said.text]
