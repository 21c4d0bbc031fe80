"""Sessions of the SDK's client, in both eras of the protocol."""

import httpx2
import pytest

from tests.inference.fakes import chat
from tests.inference.mcp.conftest import TEXT, connect, in_one_task

ERAS = ("auto", "legacy")


@pytest.fixture(params=ERAS)
async def session(request, address, engine, secret):
    async with in_one_task(connect(address, secret, request.param)) as client:
        yield client


async def test_tools_are_listed_with_schemas_and_hints(session):
    tools = {tool.name: tool for tool in (await session.list_tools()).tools}
    assert set(tools) == {"list_styles", "write", "rewrite", "check_draft"}
    read_only = {name: tool.annotations.read_only_hint for name, tool in tools.items()}
    assert read_only == {"list_styles": True, "write": False, "rewrite": False, "check_draft": True}
    assert all(tool.output_schema and tool.input_schema and tool.description for tool in tools.values())


async def test_styles_are_those_of_the_key(session, account):
    account.offer("poetry", about="Short lines.")
    result = await session.call_tool("list_styles")
    [style] = [style for style in result.structured_content["styles"] if style["name"] != "base"]
    assert (style["name"], style["description"], style["version"]) == ("poetry", "Short lines.", 3)


async def test_a_text_is_written_and_metered_as_v1_does(session, engine, account, address, secret):
    result = await session.call_tool("write", {"style": "poetry", "prompt": "Rain?", "max_tokens": 20})
    written = result.structured_content
    assert result.content[0].text == written["text"] == TEXT
    assert (written["model"], written["finish_reason"]) == ("poetry", "stop")
    async with httpx2.AsyncClient() as http:
        headers = {"Authorization": f"Bearer {secret}"}
        body = chat(max_tokens=20, stream=True, stream_options={"include_usage": True})
        answer = await http.post(f"{address}/v1/chat/completions", json=body, headers=headers)
    [by_mcp, by_v1] = account.events()
    assert (by_mcp["request_id"], by_v1["request_id"]) == (
        written["request_id"],
        answer.headers["x-request-id"],
    )
    own = {"request_id", "admitted_at", "duration_ms", "first_token_ms", "queue_ms", "at"}
    differing = {name for name in by_v1 if by_mcp[name] != by_v1[name]}
    assert differing <= own, differing
    assert written["usage"]["completion_tokens"] == by_v1["completion_tokens"]


async def test_a_text_is_rewritten_as_styles_are_trained_to(session, engine):
    arguments = {"style": "poetry", "text": "It rains.", "instructions": "Half as long."}
    result = await session.call_tool("rewrite", arguments)
    assert result.structured_content["text"] == TEXT
    [message] = engine.received[0]["messages"]
    assert message["content"] == "Rewrite the following in my style. Half as long.\n\nIt rains."


async def test_prompts_have_the_clients_model_use_the_tools(session):
    prompts = (await session.list_prompts()).prompts
    for prompt in prompts:
        filled = await session.get_prompt(
            prompt.name, {one.name: f"<{one.name}>" for one in prompt.arguments}
        )
        [message] = filled.messages
        assert all(f"<{one.name}>" in message.content.text for one in prompt.arguments)
    assert len(prompts) == 3
