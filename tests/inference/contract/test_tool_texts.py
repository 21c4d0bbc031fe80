"""Calls and results as texts, for a base model whose chat template knows neither."""

import json

import pytest

from inference.contract import requests, tokenizer
from inference.contract.dialects import anthropic_messages, openai_responses

QUESTION = {"role": "user", "content": "Weather?"}
ARGUMENTS = '{"city": "Oslo"}'


def call(call_id: str, name: str, arguments: str = ARGUMENTS):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


CALLED = {"role": "assistant", "content": None, "tool_calls": [call("c1", "weather")]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "Rain"}
READ = [
    QUESTION,
    {"role": "assistant", "content": 'I call weather({"city": "Oslo"}).'},
    {"role": "user", "content": "weather returned: Rain"},
]


@pytest.fixture(autouse=True)
def untaught(settings, tmp_path):
    """The base model's chat template shows no tools, and fails on a message without a text."""
    settings.BASE_MODEL_DIR = tmp_path
    (tmp_path / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m['role'] + m['content'] }}{% endfor %}"
    )


def parse(messages, **more):
    body = {"model": "poetry", "messages": messages} | more
    return requests.parse_request("chat", json.dumps(body).encode())


def read(*messages):
    return parse(messages).fields["messages"]


def test_a_call_and_its_result_are_read_as_texts():
    assert read(QUESTION, CALLED, RESULT) == READ


def test_what_the_assistant_said_stands_before_its_calls():
    calls = [call("c1", "weather"), call("c2", "time", "{}")]
    assert read(CALLED | {"content": "I look.", "tool_calls": calls}) == [
        {"role": "assistant", "content": 'I look.\nI call weather({"city": "Oslo"}).\nI call time({}).'}
    ]


def test_no_role_speaks_twice_after_several_results():
    calls = [call("c1", "weather"), call("c2", "time", "{}")]
    second = {"role": "tool", "tool_call_id": "c2", "content": "9:15"}
    asked = {"role": "user", "content": "And now?"}
    assert read(QUESTION, CALLED | {"tool_calls": calls}, second, RESULT, asked)[2:] == [
        {"role": "user", "content": "time returned: 9:15\n\nweather returned: Rain\n\nAnd now?"}
    ]


def test_a_result_without_its_call_is_read_too():
    assert read(QUESTION, RESULT)[1] == {"role": "user", "content": "The function returned: Rain"}
    named = {"role": "function", "name": "weather", "content": "Rain"}
    assert read(QUESTION, named)[1] == {"role": "user", "content": "weather returned: Rain"}


def test_a_template_that_shows_tools_gets_them_as_they_are(taught):
    assert read(QUESTION, CALLED, RESULT) == [QUESTION, CALLED, RESULT]


def test_a_conversation_without_tools_is_left_alone():
    turns = [QUESTION, {"role": "assistant", "content": "Rain."}, QUESTION, QUESTION]
    assert read(*turns) == turns


def test_the_other_dialects_read_the_same():
    use = {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Oslo"}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "Rain"}
    turns = [QUESTION, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    body = json.dumps({"model": "poetry", "max_tokens": 4, "messages": turns}).encode()
    compact = [QUESTION, {"role": "assistant", "content": 'I call weather({"city":"Oslo"}).'}, READ[2]]
    assert anthropic_messages.parse_messages(body).fields["messages"] == compact
    items = [
        QUESTION,
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": ARGUMENTS},
        {"type": "function_call_output", "call_id": "c1", "output": "Rain"},
    ]
    body = json.dumps({"model": "poetry", "input": items}).encode()
    assert openai_responses.parse_response_request(body).fields["messages"] == READ


def test_the_bound_of_the_prompt_holds_for_the_texts():
    long_name = "n" * 128
    many = [RESULT | {"content": ""} for _ in range(200)]
    parsed = parse([QUESTION, CALLED | {"tool_calls": [call("c1", long_name)]}, *many])
    texts = sum(len(message["content"]) for message in parsed.fields["messages"])
    assert parsed.prompt_bound() > texts > 128 * 200
    assert tokenizer.count_prompt_tokens(parsed) == parsed.prompt_bound()  # no tokenizer is here
