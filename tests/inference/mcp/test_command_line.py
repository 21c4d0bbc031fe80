"""`polyscribe mcp`: the same sessions through a program that the client starts."""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from mcp import Client, StdioServerParameters

from polyscribe import mcp_bridge
from tests.inference.fakes import eventually
from tests.inference.mcp.conftest import TEXT
from tests.waiting import PATIENCE_S

COMMAND = (sys.executable, "-m", "polyscribe", "mcp")
LIST = {"jsonrpc": "2.0", "id": "a", "method": "tools/list"}


@pytest.fixture
def environment(address, engine, secret, tmp_path) -> dict[str, str]:
    """The environment of a machine whose key is a variable."""
    return {
        **os.environ,
        "POLYSCRIBE_BASE_URL": address,
        "POLYSCRIBE_API_KEY": secret,
        "POLYSCRIBE_CONFIG_DIR": str(tmp_path),
    }


@asynccontextmanager
async def started(environment) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def send(process, *messages) -> None:
    for message in messages:
        process.stdin.write(json.dumps(message).encode() + b"\n")


def call(request_id, prompt="x") -> dict[str, object]:
    params = {"name": "write", "arguments": {"style": "poetry", "prompt": prompt}}
    return {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdks_client_writes_through_it(environment, mode):
    program = StdioServerParameters(command=COMMAND[0], args=list(COMMAND[1:]), env=environment)
    heard = []

    async def hear(progress, total, message):
        heard.append(progress)

    async with Client(program, mode=mode) as session:
        arguments = {"style": "poetry", "prompt": "Rain?"}
        written, listed = await asyncio.gather(
            session.call_tool("write", arguments, progress_callback=hear), session.list_tools()
        )
    assert written.structured_content["text"] == TEXT
    assert len(listed.tools) == 4


async def test_quick_answers_overtake_slow_ones(environment, engine):
    engine.pauses_after = 1
    async with started(environment) as process:
        send(process, call(1), LIST)
        assert json.loads(await process.stdout.readline())["id"] == "a"
        engine.pauses_after = None
        assert json.loads(await process.stdout.readline())["id"] == 1


async def test_a_cancelled_call_stops_the_engine(environment, engine, account):
    engine.words, engine.pace_s = ["word "] * 1000, 0.05
    account.limit(max_output_tokens=1000, monthly_tokens=10**9, tokens_per_minute=10**9)
    async with started(environment) as process:
        send(process, call(1))
        await eventually(lambda: engine.written > 3)
        send(process, {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
        await eventually(account.events)
        send(process, LIST)
        assert json.loads(await process.stdout.readline())["id"] == "a"
    assert account.events()[0]["completion_tokens"] < 500


async def test_answers_under_way_are_given_when_stdin_ends(environment):
    async with started(environment) as process:
        out, err = await process.communicate(json.dumps(LIST).encode())  # without a last line's end
    assert len(json.loads(out)["result"]["tools"]) == 4
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_quietly(environment, number):
    async with started(environment) as process:
        send(process, LIST)
        await process.stdout.readline()
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_what_comes_in_after_the_end_disturbs_nobody(monkeypatch):
    stdin, pipe = os.pipe()
    monkeypatch.setattr(mcp_bridge, "STDIN", stdin)
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    before = set(threading.enumerate())

    async def read_one() -> bytes:
        return await anext(mcp_bridge.read_stdin())

    os.write(pipe, b"{}\n")
    assert asyncio.run(read_one()) == b"{}"
    os.write(pipe, b"{}\n")  # as its client closes stdin after a signal, while Python still ends
    os.close(pipe)
    for reader in set(threading.enumerate()) - before:
        reader.join(PATIENCE_S)
    assert failures == []


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("POLYSCRIBE_BASE_URL", "http://127.0.0.1:1", "http://127.0.0.1:1 is not responding"),
        ("POLYSCRIBE_API_KEY", "ps-wrong", "The API key is missing, malformed, expired or revoked."),
    ],
)
async def test_what_is_wrong_is_the_requests_error(environment, variable, value, says):
    lines = [json.dumps(LIST), '{"jsonrpc": "2.0", "method": "notifications/initialized"}', "{", "[]", ""]
    lines += ['{"id": [1], "method": "ping"}', '{"id": 1, "method": "ping", "params": {"_meta": [1]}}']
    async with started(environment | {variable: value}) as process:
        out, _ = await process.communicate("\n".join(lines).encode())
    answers = {answer["id"]: answer["error"] for answer in map(json.loads, out.splitlines())}
    assert set(answers) == {"a", None}
    assert answers["a"]["message"].startswith(says)
    assert answers[None]["code"] == -32700


async def test_without_a_login_it_says_so_and_not_on_stdout(environment):
    del environment["POLYSCRIBE_API_KEY"]
    async with started(environment) as process:
        out, err = await process.communicate(b"")
    assert (process.returncode, out) == (4, b"")
    assert b"polyscribe login" in err
