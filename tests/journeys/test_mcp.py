"""An assistant writes with a style of the real engine: over HTTP, and over the command line."""

import asyncio
import os
import sys
from pathlib import Path

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.journeys.conftest import Writer

BRIEF = {
    "style": "poetry",
    "prompt": "Write a long letter about a morning in the city.",
    "max_tokens": 140,
    "temperature": 1,
}


async def write_and_check(client: Client) -> dict[str, object]:
    async with client as session:
        listed = (await session.call_tool("list_styles")).structured_content["styles"]
        assert "poetry" in {style["name"] for style in listed}
        result = await session.call_tool("write", BRIEF)
        assert not result.is_error, result.content
        checked = await session.call_tool("check_draft", {"text": result.structured_content["text"]})
        assert checked.structured_content["watermark"]["verdict"] == "found"
        return result.structured_content


def test_over_http_a_text_is_written_and_marked(demo: Writer):
    async def journey() -> dict[str, object]:
        headers = {"Authorization": f"Bearer {demo.api_key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=600) as http:
            return await write_and_check(Client(streamable_http_client(f"{demo.site}/mcp", http_client=http)))

    written = asyncio.run(journey())
    assert written["usage"]["completion_tokens"] > 20
    assert str(written["receipt_url"]).endswith(f"/v1/receipts/{written['request_id']}")


def test_over_the_command_line_a_text_is_written(demo: Writer, tmp_path: Path):
    environment = {
        **os.environ,
        "POLYSCRIBE_BASE_URL": demo.site,
        "POLYSCRIBE_API_KEY": demo.api_key,
        "POLYSCRIBE_CONFIG_DIR": str(tmp_path),
    }
    program = StdioServerParameters(command=sys.executable, args=["-m", "polyscribe", "mcp"], env=environment)
    assert asyncio.run(write_and_check(Client(program, mode="legacy")))["finish_reason"] in ("stop", "length")
