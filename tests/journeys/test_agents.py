"""Agents of others, unchanged, against the whole stack: loops and forced calls end, cut calls are seen."""

import json
from collections.abc import Iterator
from typing import Literal, get_args

import anthropic
import httpx2
import openai
import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from anthropic import beta_tool
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from openai.lib.streaming.chat import ChatCompletionStreamState

set_tracing_disabled(True)  # else the SDK sends what it does to OpenAI

QUESTION = "What is the weather in Oslo?"
ASKED = {"model": "poetry", "messages": [{"role": "user", "content": QUESTION}], "temperature": 0}
City = Literal["Oslo", "Rome"]
NOTHING = {"type": "function", "function": {"name": "get_time"}}
CITY = {
    "type": "object", "properties": {"city": {"type": "string", "enum": [*get_args(City)]}},
    "required": ["city"], "additionalProperties": False,
}  # fmt: skip
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
# Tools without arguments, in the forms that clients write.
EMPTY = {
    "none": NOTHING,
    "empty": {"type": "function", "function": NOTHING["function"] | {"parameters": {}}},
    "closed": {
        "type": "function",
        "function": NOTHING["function"]
        | {
            "strict": False,
            "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
        },
    },
}
# No letter of the calls below: an answer in words ends soon, where the SDK's responses take no cut one.
STOPS = ["d", "f", "p", "b"]
LONGEST_CALL = 100  # tokens; a call of these tools takes about 45


@pytest.fixture
async def asynchronous(demo):
    async with openai.AsyncOpenAI(
        base_url=f"{demo.site}/v1", api_key=demo.api_key, max_retries=0, timeout=120
    ) as client:
        yield client


@pytest.fixture
def claude(demo) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=demo.site, api_key=demo.api_key, max_retries=0, timeout=120) as client:
        yield client


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


@pytest.mark.parametrize("limit", [2, 12, 34, 42])
@pytest.mark.parametrize("choice", ["required", "named"])
def test_a_call_that_the_limit_cuts_is_given_as_a_call(demo, limit, choice):
    asked = ASKED | {"tools": [WEATHER], "tool_choice": of(choice, WEATHER), "max_tokens": limit}
    for answer in (demo.client.chat.completions.create(**asked), streamed_chat(demo.client, **asked)):
        [said] = answer.choices
        [call] = said.message.tool_calls
        assert (said.finish_reason, call.function.name, said.message.content or "") == (
            "length", "get_weather", "",
        )  # fmt: skip
        assert call.id
        arguments = "".join((call.function.arguments or "").split())
        assert any(f'{{"city":"{city}"}}'.startswith(arguments) for city in get_args(City))


@pytest.mark.parametrize("limit", [2, 12, 42])
def test_a_message_shows_the_call_that_the_limit_cuts(claude, limit):
    asked = {
        "model": "poetry", "messages": ASKED["messages"], "max_tokens": limit,
        "tools": [{"name": "get_weather", "input_schema": CITY}], "tool_choice": {"type": "any"},
        "extra_body": {"temperature": 0},
    }  # fmt: skip
    with claude.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for message in (claude.messages.create(**asked), streamed):
        [used] = message.content
        assert (message.stop_reason, used.type, used.name) == ("max_tokens", "tool_use", "get_weather")
        assert used.input in ({}, {"city": "Oslo"}, {"city": "Rome"})


@pytest.mark.parametrize("limit", [2, 12, 42])
def test_a_response_shows_the_call_that_the_limit_cuts(demo, limit):
    asked = {
        "model": "poetry", "input": QUESTION, "max_output_tokens": limit, "temperature": 0,
        "tools": [{"type": "function", "name": "get_weather", "parameters": CITY}], "tool_choice": "required",
    }  # fmt: skip
    *_, last = demo.client.responses.create(**asked, stream=True)
    for response in (demo.client.responses.create(**asked), last.response):
        [call] = response.output
        assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert (call.type, call.name, call.status) == ("function_call", "get_weather", "incomplete")


SAYS_NONE = {"x-polyscribe-tool-choice": "none"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", [{}, {"tool_choice": "auto"}])
def test_auto_is_answered_in_words_where_the_base_knows_no_tools(demo, choice, stream):
    raw = demo.client.chat.completions.with_raw_response.create(
        **ASKED, **choice, tools=[WEATHER], max_tokens=8, stream=stream
    )
    assert dict(raw.headers).items() >= SAYS_NONE.items()
    answer = raw.parse()
    parts = list(answer) if stream else [answer]
    said = [getattr(choice, "delta", None) or choice.message for part in parts for choice in part.choices]
    assert "".join(part.content or "" for part in said)
    assert not any(part.tool_calls for part in said)
    plain = demo.client.chat.completions.with_raw_response.create(**ASKED, max_tokens=1)
    assert not SAYS_NONE.keys() & dict(plain.headers).keys()


# OpenAI's agents SDK. Its loop forces the first call alone, and then lets the model choose.


def weather_agent(model, calls: list[str], **settings: object) -> Agent:
    @function_tool
    def get_weather(city: City) -> str:
        """Tell the weather of a city."""
        calls.append(city)
        return "It rains."

    options = ModelSettings(temperature=0, max_tokens=LONGEST_CALL, extra_body={"stop": STOPS}, **settings)
    return Agent(
        name="poet", instructions="Answer.", model=model, model_settings=options, tools=[get_weather]
    )


@pytest.mark.parametrize("kind", [OpenAIChatCompletionsModel, OpenAIResponsesModel])
@pytest.mark.parametrize("choice", [None, "required"])
async def test_openais_agent_ends_with_an_answer(asynchronous, kind, choice):
    calls: list[str] = []
    agent = weather_agent(kind("poetry", asynchronous), calls, tool_choice=choice)
    result = await Runner.run(agent, QUESTION, max_turns=3)
    assert result.final_output
    assert bool(calls) == bool(choice)


@pytest.mark.parametrize("kind", [OpenAIChatCompletionsModel, OpenAIResponsesModel])
async def test_openais_agent_ends_with_a_streamed_answer(asynchronous, kind):
    calls: list[str] = []
    agent = weather_agent(kind("poetry", asynchronous), calls, tool_choice="required")
    run = Runner.run_streamed(agent, QUESTION, max_turns=3)
    assert [event async for event in run.stream_events()]
    assert run.final_output
    assert calls


# LangChain's model in a loop of LangGraph.


@tool
def get_weather(city: City) -> str:
    """Tell the weather of a city."""
    return f"It rains in {city}."


def langchain_model(demo) -> ChatOpenAI:
    return ChatOpenAI(
        model="poetry", base_url=f"{demo.site}/v1", api_key=demo.api_key, temperature=0, max_retries=0,
        max_tokens=LONGEST_CALL, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("first", ["auto", "any"])
def test_langchains_agent_ends_with_an_answer(demo, first):
    model = langchain_model(demo)

    def think(state: MessagesState) -> dict:
        is_first = not any(isinstance(message, ToolMessage) for message in state["messages"])
        bound = model.bind_tools([get_weather], tool_choice=first if is_first else "auto")
        return {"messages": [bound.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([get_weather]))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition, {"tools": "tools", END: END})
    graph.add_edge("tools", "think")
    messages = graph.compile().invoke({"messages": [HumanMessage(QUESTION)]}, {"recursion_limit": 8})[
        "messages"
    ]
    assert messages[-1].content
    assert not messages[-1].tool_calls
    kinds = [type(message).__name__ for message in messages]
    called = ["AIMessage", *["ToolMessage"] * kinds.count("ToolMessage")] if first == "any" else []
    assert kinds == ["HumanMessage", *called, "AIMessage"]
    assert (first == "any") == ("ToolMessage" in kinds)


# Anthropic's tool runner, and a stream as Claude Code asks for it.


def test_anthropics_tool_runner_ends_with_an_answer(claude):
    calls: list[str] = []

    @beta_tool
    def get_weather(city: City) -> str:
        """Tell the weather of a city."""
        calls.append(city)
        return "It rains."

    asked = {"model": "poetry", "max_tokens": LONGEST_CALL, "extra_body": {"temperature": 0}}
    messages = [{"role": "user", "content": QUESTION}]
    final = claude.beta.messages.tool_runner(**asked, messages=messages, tools=[get_weather]).until_done()
    assert (final.content[0].type, calls) == ("text", [])
    assert final.stop_reason in ("end_turn", "max_tokens")
    forced = claude.beta.messages.create(
        **asked, messages=messages, tools=[get_weather.to_dict()], tool_choice={"type": "any"}
    )
    results = [
        {"type": "tool_result", "tool_use_id": used.id, "content": get_weather.call(used.input)}
        for used in forced.content
    ]
    turns = [*messages, forced.to_param(), {"role": "user", "content": results}]
    final = claude.beta.messages.tool_runner(**asked, messages=turns, tools=[get_weather]).until_done()
    assert final.content[0].type == "text"
    assert calls


HINT = {"cache_control": {"type": "ephemeral"}}
READ_FILE = {
    "name": "Read", "description": "Reads a file.",
    "input_schema": {
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["file_path"],
        "properties": {
            "file_path": {"type": "string"}, "limit": {"type": "number", "exclusiveMinimum": 0},
        },
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
    },
}  # fmt: skip
CODE = {
    "model": "poetry", "max_tokens": 24, "stream": True, "temperature": 1,
    "metadata": {"user_id": "user_1_account__session_2"},
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"},
        {"type": "text", "text": "You are a command line assistant.", **HINT},
    ],
    "tools": [READ_FILE, {"name": "Now", "description": "The time.", "input_schema": {"type": "object"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "<system-reminder>Be brief.</system-reminder>"},
                                     {"type": "text", "text": "What does notes.txt say?"}]},
        {"role": "assistant", "content": [
            {"type": "text", "text": "I read it."},
            {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "notes.txt"}},
            {"type": "tool_use", "id": "toolu_2", "name": "Now", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Buy milk."},
            {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": True, "content": "none", **HINT}]},
    ],
}  # fmt: skip


def test_a_stream_with_tools_as_claude_code_asks_for_it(demo):
    headers = {
        "authorization": f"Bearer {demo.api_key}", "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219", "user-agent": "claude-cli/2.0 (external, cli)",
    }  # fmt: skip
    answer = httpx2.post(f"{demo.site}/v1/messages?beta=true", json=CODE, headers=headers, timeout=120)
    assert (answer.status_code, answer.headers["x-polyscribe-tool-choice"]) == (200, "none"), answer.text
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in events[:2]] == ["message_start", "content_block_start"]
    assert events[1]["content_block"]["type"] == "text"
    assert events[-1]["type"] == "message_stop"
    assert events[-2]["delta"]["stop_reason"] in ("end_turn", "max_tokens")
    counted = httpx2.post(
        f"{demo.site}/v1/messages/count_tokens", headers=headers, timeout=120,
        json={name: CODE[name] for name in ("model", "system", "tools", "messages")},
    ).json()["input_tokens"]  # fmt: skip
    usage = events[0]["message"]["usage"]
    assert counted == usage["input_tokens"] + usage["cache_read_input_tokens"]
