"""A site that is told to stop lets tools finish, as it lets answers of `/v1`."""

import asyncio
import signal
import socket

import uvicorn

from inference.asgi import app
from inference.mcp.app import McpApp
from tests.inference.fakes import eventually
from tests.inference.mcp.conftest import connect, in_one_task, site_of


async def test_a_text_that_is_being_written_is_finished(gateway, engine, secret):
    engine.words, engine.pace_s = ["word "] * 40, 0.05
    mcp = McpApp(app)
    listener = socket.create_server(("127.0.0.1", 0))
    site = site_of(mcp, gateway)
    server = uvicorn.Server(
        uvicorn.Config(site, lifespan="off", log_config=None, timeout_graceful_shutdown=30)
    )
    async with in_one_task(mcp.run()):
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await eventually(lambda: server.started)
        async with connect(f"http://127.0.0.1:{listener.getsockname()[1]}", secret, "legacy") as session:
            await session.list_tools()  # else the client asks for the schema afterwards
            writing = asyncio.create_task(session.call_tool("write", {"style": "poetry", "prompt": "x"}))
            await eventually(lambda: engine.written > 3)
            server.handle_exit(signal.SIGTERM, None)
            server._captured_signals.clear()  # else it sends them to the tests at its end
            result = await writing
        await serving
    assert result.structured_content["text"] == "word " * 40
