"""Agents of others, unchanged: what a test module imports of these, it runs against its own `demo`."""

from collections.abc import Iterator
from typing import Literal, get_args

import anthropic
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

set_tracing_disabled(True)  # else the SDK sends what it does to OpenAI

QUESTION = "What is the weather in Oslo?"
ASKED = {"model": "poetry", "messages": [{"role": "user", "content": QUESTION}], "temperature": 0}
City = Literal["Oslo", "Rome"]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": [*get_args(City)]}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
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


@tool
def get_weather(city: City) -> str:
    """Tell the weather of a city."""
    return f"It rains in {city}."


def langchain_model(demo) -> ChatOpenAI:
    service = {"base_url": f"{demo.site}/v1", "api_key": demo.api_key, "max_retries": 0, "timeout": 120}
    return ChatOpenAI(model="poetry", temperature=0, max_tokens=LONGEST_CALL, **service)


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
