"""Agents of others, unchanged, against the whole stack: loops and forced calls end, cut calls are seen."""

import json
from typing import get_args

import httpx2
import openai
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState

from tests.agents_of_others import (  # noqa: F401  fixtures and tests
    ASKED,
    CITY,
    LONGEST_CALL,
    QUESTION,
    WEATHER,
    City,
    asynchronous,
    claude,
    get_weather,
    test_anthropics_tool_runner_ends_with_an_answer,
    test_auto_is_answered_in_words_where_the_base_knows_no_tools,
    test_langchains_agent_ends_with_an_answer,
    test_openais_agent_ends_with_a_streamed_answer,
    test_openais_agent_ends_with_an_answer,
)

NOTHING = {"type": "function", "function": {"name": "get_time"}}
# Tools without arguments, in the forms that clients write.
EMPTY = {
    "none": NOTHING,
    "closed": {
        "type": "function",
        "function": NOTHING["function"]
        | {
            "strict": False,
            "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
        },
    },
}


def of(choice: str, tool: dict) -> object:
    """Return a choice that forces a call: required, or the function by its name."""
    if choice == "required":
        return choice
    return {"type": "function", "function": {"name": tool["function"]["name"]}}


@pytest.mark.parametrize("tool", EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize("choice", ["required", "named"])
def test_a_forced_call_without_arguments_ends(demo, tool, choice):
    answer = demo.client.chat.completions.create(
        **ASKED, tools=[tool], tool_choice=of(choice, tool), max_tokens=LONGEST_CALL
    )
    [call] = answer.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_time", {})
    assert answer.choices[0].finish_reason == ("stop" if choice == "named" else "tool_calls")
    assert answer.usage.completion_tokens < LONGEST_CALL


@pytest.mark.parametrize("choice", ["required", "named"])
def test_blanks_between_the_signs_of_a_forced_call_are_few(demo, choice):
    tools = [WEATHER, NOTHING]
    answer = demo.client.chat.completions.create(
        **ASKED, tools=tools, tool_choice=of(choice, WEATHER), max_tokens=LONGEST_CALL
    )
    assert answer.choices[0].finish_reason != "length"
    for call in answer.choices[0].message.tool_calls:
        assert json.loads(call.function.arguments).keys() <= {"city"}


def streamed_chat(client: openai.OpenAI, **asked: object):
    state = ChatCompletionStreamState()
    for chunk in client.chat.completions.create(**asked, stream=True):
        state.handle_chunk(chunk)
    return state.current_completion_snapshot


@pytest.mark.parametrize("limit", [2, 34])
@pytest.mark.parametrize("choice", ["required", "named"])
def test_a_call_that_the_limit_cuts_is_given_as_a_call(demo, limit, choice):
    asked = ASKED | {"tools": [WEATHER], "tool_choice": of(choice, WEATHER), "max_tokens": limit}
    for answer in (demo.client.chat.completions.create(**asked), streamed_chat(demo.client, **asked)):
        [said] = answer.choices
        [call] = said.message.tool_calls
        assert (said.finish_reason, call.function.name) == ("length", "get_weather")
        assert not said.message.content
        assert call.id
        arguments = "".join((call.function.arguments or "").split())
        assert any(f'{{"city":"{city}"}}'.startswith(arguments) for city in get_args(City))


@pytest.mark.parametrize("limit", [2, 42])
def test_a_message_shows_the_call_that_the_limit_cuts(claude, limit):  # noqa: F811
    forced = {"tools": [{"name": "get_weather", "input_schema": CITY}], "tool_choice": {"type": "any"}}
    asked = {"model": "poetry", "messages": ASKED["messages"], "extra_body": {"temperature": 0}}
    asked |= {"max_tokens": limit, **forced}
    with claude.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for message in (claude.messages.create(**asked), streamed):
        [used] = message.content
        assert (message.stop_reason, used.type, used.name) == ("max_tokens", "tool_use", "get_weather")
        assert used.input in ({}, {"city": "Oslo"}, {"city": "Rome"})


@pytest.mark.parametrize("limit", [2, 42])
def test_a_response_shows_the_call_that_the_limit_cuts(demo, limit):
    tool = {"type": "function", "name": "get_weather", "parameters": CITY}
    asked = {"model": "poetry", "input": QUESTION, "temperature": 0, "tools": [tool]}
    asked |= {"max_output_tokens": limit, "tool_choice": "required"}
    *_, last = demo.client.responses.create(**asked, stream=True)
    for response in (demo.client.responses.create(**asked), last.response):
        [call] = response.output
        assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert (call.type, call.name, call.status) == ("function_call", "get_weather", "incomplete")


# What Claude Code asks for.
HINT = {"cache_control": {"type": "ephemeral"}}
READ_ARGUMENTS = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["file_path"],
    "properties": {"file_path": {"type": "string"}, "limit": {"type": "number", "exclusiveMinimum": 0}},
    "patternProperties": {"^x-": {}},
    "additionalProperties": False,
}
TOOLS = [
    {"name": "Read", "description": "Reads a file.", "input_schema": READ_ARGUMENTS},
    {"name": "Now", "description": "The time.", "input_schema": {"type": "object"}},
]
ASKS = [
    {"type": "text", "text": "<system-reminder>Be brief.</system-reminder>"},
    {"type": "text", "text": "What does notes.txt say?"},
]
CALLS = [
    {"type": "text", "text": "I read it."},
    {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "notes.txt"}},
    {"type": "tool_use", "id": "toolu_2", "name": "Now", "input": {}},
]
RESULTS = [
    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Buy milk."},
    {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": True, "content": "none", **HINT},
]
COUNTED = {
    "model": "poetry",
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"},
        {"type": "text", "text": "You are a command line assistant.", **HINT},
    ],
    "tools": TOOLS,
    "messages": [
        {"role": "user", "content": ASKS},
        {"role": "assistant", "content": CALLS},
        {"role": "user", "content": RESULTS},
    ],
}
USER = {"user_id": "user_1_account__session_2"}
CODE = COUNTED | {"max_tokens": 24, "stream": True, "temperature": 1, "metadata": USER}


def test_a_stream_with_tools_as_claude_code_asks_for_it(demo):
    headers = {"authorization": f"Bearer {demo.api_key}", "user-agent": "claude-cli/2.0 (external, cli)"}
    headers |= {"anthropic-version": "2023-06-01", "anthropic-beta": "claude-code-20250219"}
    sent = {"headers": headers, "timeout": 120}
    answer = httpx2.post(f"{demo.site}/v1/messages?beta=true", json=CODE, **sent)
    assert (answer.status_code, answer.headers["x-polyscribe-tool-choice"]) == (200, "none"), answer.text
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in events[:2]] == ["message_start", "content_block_start"]
    assert events[1]["content_block"]["type"] == "text"
    assert events[-1]["type"] == "message_stop"
    assert events[-2]["delta"]["stop_reason"] in ("end_turn", "max_tokens")
    counting = httpx2.post(f"{demo.site}/v1/messages/count_tokens", json=COUNTED, **sent)
    counted = counting.json()["input_tokens"]
    usage = events[0]["message"]["usage"]
    assert counted == usage["input_tokens"] + usage["cache_read_input_tokens"]
