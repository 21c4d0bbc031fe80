"""Each configuration of docs/mcp.md, read as its client reads it, leads to a session."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from polyscribe.settings import Settings, save_settings
from stack.folders import ROOT
from tests.documents import blocks
from tests.inference.mcp.conftest import TEXT

GUIDE = "docs/mcp.md"
SITE = "https://polyscribe.example.com"
# How clients name what stays out of the file: Claude Code, Cursor, VS Code; the last is pasted.
PLACEHOLDERS = ("${POLYSCRIBE_API_KEY}", "${env:POLYSCRIBE_API_KEY}", "${input:polyscribe-key}", "YOUR_KEY")


def recipes() -> Iterator[tuple[str, str]]:
    """Yield each JSON block of the guide with the heading above it."""
    lines = (ROOT / GUIDE).read_text().splitlines()
    for number, block in enumerate(blocks(GUIDE, language="json"), start=1):
        headings = [line for line in lines[: block.line] if line.startswith("### ")]
        yield f"{headings[-1].removeprefix('### ')} {number}", block.text


RECIPES = dict(recipes())


def read_server(written: str) -> dict[str, Any]:
    """Return the one server of a configuration. Fails for what its client would skip."""
    config = json.loads(written)
    [(name, server)] = (config.get("mcpServers") or config["servers"]).items()
    assert name == "polyscribe"
    if "servers" in config:  # VS Code demands the type, and asks for its inputs
        assert server["type"] in ("http", "stdio")
        assert [(one["type"], one["password"]) for one in config["inputs"]] == [("promptString", True)]
    assert server.keys() <= {"type", "url", "headers"} or server.keys() <= {"command", "args", "env"}
    return server


def test_every_client_has_a_recipe():
    assert {name.rpartition(" ")[0] for name in RECIPES} == {
        "Claude Code",
        "Claude Desktop",
        "Cursor",
        "VS Code",
        "LM Studio",
    }
    # Its file takes only programs: https://github.com/anthropics/claude-ai-mcp/issues/120
    assert all("command" in written for name, written in RECIPES.items() if name.startswith("Claude Desktop"))


@pytest.mark.parametrize("name", RECIPES)
async def test_a_recipe_leads_to_a_session(*, name, address, engine, secret, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("POLYSCRIBE_CONFIG_DIR", str(tmp_path))
    save_settings(Settings(address, secret, "tester"))
    written = RECIPES[name].replace(SITE, address)
    for placeholder in PLACEHOLDERS:
        written = written.replace(placeholder, secret)
    assert "${" not in written
    server = read_server(written)
    async with httpx2.AsyncClient(headers=server.get("headers"), timeout=60) as http:
        if "url" in server:
            transport = streamable_http_client(server["url"], http_client=http)
        else:
            assert server["command"] == "polyscribe"
            environment = {**os.environ, **server.get("env", {})}
            transport = StdioServerParameters(
                command=sys.executable, args=["-m", "polyscribe", *server["args"]], env=environment
            )
        async with Client(transport, mode="legacy") as session:
            result = await session.call_tool("list_styles")
    assert "poetry" in [style["name"] for style in result.structured_content["styles"]]


def test_the_command_of_claude_code_names_the_server_as_its_file_does():
    [block] = blocks(GUIDE, language="sh")
    [words] = block.words()
    server = read_server(RECIPES["Claude Code 1"])
    assert words[:6] == ["claude", "mcp", "add", "--transport", server["type"], "polyscribe"]
    assert words[6:] == [server["url"], "--header", "Authorization: Bearer $POLYSCRIBE_API_KEY"]


async def test_the_guides_program_runs_as_pasted(address, engine, secret):
    [program] = blocks(GUIDE, language="python")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", program.text.replace(SITE, address)),
        env={**os.environ, "POLYSCRIBE_API_KEY": secret},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert (process.returncode, out.decode()) == (0, f"{TEXT}\n")
