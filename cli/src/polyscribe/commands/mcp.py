"""`mcp`: the service's MCP server over stdin and stdout, for Claude Desktop and others."""

import asyncio
import signal
import sys
from contextlib import suppress

import typer

from polyscribe.commands.session import session_of
from polyscribe.mcp_bridge import Bridge, read_stdin
from polyscribe.settings import resolve_settings


def serve(context: typer.Context) -> None:
    """Serve styles as MCP tools over stdin and stdout, with your key. Programs such as Claude Desktop start
    this; stdout has nothing but messages. It ends when stdin ends."""
    settings = resolve_settings(profile=session_of(context).profile)

    def write(message: bytes) -> None:
        sys.stdout.buffer.write(message + b"\n")
        sys.stdout.buffer.flush()

    async def bridge() -> None:
        loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(Bridge(settings, write).run(read_stdin()))
        # Clients end it so, and people with Ctrl-C: neither is a failure.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(running.cancel))
        await running

    with suppress(asyncio.CancelledError):
        asyncio.run(bridge())
