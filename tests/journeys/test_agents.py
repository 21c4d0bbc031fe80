"""Agents of others, unchanged, against the whole stack: loops and forced calls end."""

# Each of them takes seconds to load, so only the test that runs one does.
# ruff: noqa: PLC0415

import json
from typing import Any, Literal, get_args

import httpx2
import openai
import pytest
from anthropic import beta_tool

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
NOTHING = {"type": "function", "function": {"name": "get_time"}}
NO_ARGUMENTS = {"type": "object", "properties": {}, "additionalProperties": False}
# Tools without arguments, in the forms that clients write.
EMPTY = {
    "none": NOTHING,
    "closed": NOTHING | {"function": NOTHING["function"] | {"strict": False, "parameters": NO_ARGUMENTS}},
}


@pytest.fixture
async def asynchronous(demo):
    async with openai.AsyncOpenAI(
        base_url=f"{demo.site}/v1", api_key=demo.api_key, max_retries=0, timeout=600
    ) as client:
        yield client


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("form", ["OpenAIChatCompletionsModel", "OpenAIResponsesModel"])
async def test_openais_agent_ends_with_an_answer(asynchronous, form, is_streamed):
    import agents

    agents.set_tracing_disabled(True)  # else the SDK sends what it does to OpenAI
    calls: list[str] = []

    @agents.function_tool
    def get_weather(city: City) -> str:
        """Tell the weather of a city."""
        calls.append(city)
        return "It rains."

    for choice in ("required",) if is_streamed else (None, "required"):
        calls.clear()
        settings = agents.ModelSettings(
            temperature=0, max_tokens=LONGEST_CALL, extra_body={"stop": STOPS}, tool_choice=choice
        )
        model = getattr(agents, form)("poetry", asynchronous)
        agent = agents.Agent(
            name="poet", instructions="Answer.", model=model, model_settings=settings, tools=[get_weather]
        )
        if is_streamed:
            run = agents.Runner.run_streamed(agent, QUESTION, max_turns=3)
            assert [event async for event in run.stream_events()]
        else:
            run = await agents.Runner.run(agent, QUESTION, max_turns=3)
        assert run.final_output
        assert bool(calls) == bool(choice)


@pytest.mark.parametrize("first", ["auto", "any"])
def test_langchains_agent_ends_with_an_answer(demo, first):
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode, tools_condition

    @tool
    def get_weather(city: City) -> str:
        """Tell the weather of a city."""
        return f"It rains in {city}."

    service = {"base_url": f"{demo.site}/v1", "api_key": demo.api_key, "max_retries": 0, "timeout": 600}
    model = ChatOpenAI(model="poetry", temperature=0, max_tokens=LONGEST_CALL, **service)

    def think(state: dict[str, Any]) -> dict[str, Any]:
        is_first = not any(isinstance(message, ToolMessage) for message in state["messages"])
        bound = model.bind_tools([get_weather], tool_choice=first if is_first else "auto")
        return {"messages": [bound.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([get_weather]))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition, {"tools": "tools", END: END})
    graph.add_edge("tools", "think")
    asked = {"messages": [HumanMessage(QUESTION)]}
    messages = graph.compile().invoke(asked, {"recursion_limit": 8})["messages"]
    assert messages[-1].content
    assert not messages[-1].tool_calls
    kinds = [type(message).__name__ for message in messages]
    called = ["AIMessage", *["ToolMessage"] * kinds.count("ToolMessage")] if first == "any" else []
    assert kinds == ["HumanMessage", *called, "AIMessage"]
    assert (first == "any") == ("ToolMessage" in kinds)


def test_anthropics_tool_runner_ends_with_an_answer(demo):
    calls: list[str] = []

    @beta_tool
    def get_weather(city: City) -> str:
        """Tell the weather of a city."""
        calls.append(city)
        return "It rains."

    messages = demo.claude.beta.messages
    asked = {"model": "poetry", "max_tokens": LONGEST_CALL, "extra_body": {"temperature": 0}}
    turns = [{"role": "user", "content": QUESTION}]
    final = messages.tool_runner(**asked, messages=turns, tools=[get_weather]).until_done()
    assert (final.content[0].type, calls) == ("text", [])
    assert final.stop_reason in ("end_turn", "max_tokens")
    forced = messages.create(
        **asked, messages=turns, tools=[get_weather.to_dict()], tool_choice={"type": "any"}
    )
    results = [
        {"type": "tool_result", "tool_use_id": used.id, "content": get_weather.call(used.input)}
        for used in forced.content
    ]
    turns += [forced.to_param(), {"role": "user", "content": results}]
    final = messages.tool_runner(**asked, messages=turns, tools=[get_weather]).until_done()
    assert final.content[0].type == "text"
    assert calls


def of(choice: str, tool: dict) -> object:
    """Return a choice that forces a call: required, or the function by its name."""
    if choice == "required":
        return choice
    return {"type": "function", "function": {"name": tool["function"]["name"]}}


@pytest.mark.parametrize("choice", ["required", "named"])
def test_a_forced_call_ends(demo, choice):
    """Also one without arguments; and the blanks between the signs of the others are few."""
    create = demo.client.chat.completions.create
    for form, tool in EMPTY.items():
        answer = create(**ASKED, tools=[tool], tool_choice=of(choice, tool), max_tokens=LONGEST_CALL)
        [call] = answer.choices[0].message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("get_time", {}), form
        assert answer.choices[0].finish_reason == ("stop" if choice == "named" else "tool_calls")
        assert answer.usage.completion_tokens < LONGEST_CALL
    tools = [WEATHER, NOTHING]
    answer = create(**ASKED, tools=tools, tool_choice=of(choice, WEATHER), max_tokens=LONGEST_CALL)
    assert answer.choices[0].finish_reason != "length"
    for call in answer.choices[0].message.tool_calls:
        assert json.loads(call.function.arguments).keys() <= {"city"}


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
    sent = {"headers": headers, "timeout": 600}
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
