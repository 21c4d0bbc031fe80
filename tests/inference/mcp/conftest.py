"""The site's `/mcp` and `/v1` over a real socket, before a fake engine, and the SDK's client."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from inference.asgi import app
from inference.mcp.app import MCP, McpApp
from inference.server.server import Server

TEXT = 'Roses are red, "dear" usage: '  # what the fake engine writes


@asynccontextmanager
async def in_one_task[T](context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context in one task, as AnyIO demands; pytest uses two for a fixture."""
    entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    is_over = asyncio.Event()

    async def hold() -> None:
        async with context as value:
            entered.set_result(value)
            await is_over.wait()

    holding = asyncio.create_task(hold())
    await asyncio.wait({holding, entered}, return_when=asyncio.FIRST_COMPLETED)
    if holding.done():
        holding.result()
    try:
        yield entered.result()
    finally:
        is_over.set()
        await holding


def site_of(mcp: McpApp, gateway):
    """Return the part of the site that answers `/mcp` and `/v1`."""

    async def site(scope, receive, send) -> None:
        answers = mcp if scope["path"] == MCP else app
        await answers(scope | {"state": {"gateway": gateway}}, receive, send)

    return site


@pytest.fixture
async def address(gateway) -> AsyncIterator[str]:
    """Where both listen; what else the site has is not there."""
    mcp = McpApp(app)
    listener = socket.create_server(("127.0.0.1", 0))
    async with in_one_task(mcp.run()), Server(site_of(mcp, gateway)).listening(listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def connect(address: str, secret: str, mode: str = "auto") -> AsyncIterator[Client]:
    """A client of the newest revision; of the one before with "legacy"."""
    headers = {"Authorization": f"Bearer {secret}"}
    http = httpx2.AsyncClient(headers=headers, timeout=60)
    transport = streamable_http_client(f"{address}{MCP}", http_client=http)
    async with http, Client(transport, mode=mode) as client:
        yield client
