"""MCP over stdin and stdout for clients that start programs: each line is a message, and goes to `/mcp`.

Messages run side by side. What answers a request, also with an event stream, is written line by line.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx

from polyscribe.errors import Object
from polyscribe.settings import Settings
from polyscribe.transport import USER_AGENT, Timeouts, read_error, unreachable

STDIN = 0
CHUNK_BYTES = 64 * 1024
END_GRACE_S = 2.0  # for answers under way when stdin ends
SERVER_ERROR = -32000  # of JSON-RPC: the first one that a server can define
PARSE_ERROR = -32700
VERSION_HEADER = "MCP-Protocol-Version"
VERSION_IN_META = "io.modelcontextprotocol/protocolVersion"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


def serve(settings: Settings) -> None:
    """Pass messages on until stdin ends, or a signal comes."""

    async def bridge() -> None:
        loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(Bridge(settings).run(read_stdin()))
        # Clients end it so, and people with Ctrl-C: neither is a failure.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(running.cancel))
        await running

    with suppress(asyncio.CancelledError):
        asyncio.run(bridge())


def write_line(message: bytes) -> None:
    sys.stdout.buffer.write(message + b"\n")
    sys.stdout.buffer.flush()


class Bridge:
    """One client's messages, and the service that answers them."""

    def __init__(self, settings: Settings) -> None:
        timeouts = Timeouts()
        self._settings = settings
        self._version = ""  # that `initialize` agreed on
        self._running: dict[object, asyncio.Task[None]] = {}  # by the request's id
        self._http = httpx.AsyncClient(
            headers={
                "Authorization": f"Bearer {settings.api_key}",
                "User-Agent": USER_AGENT,
                "Content-Type": "application/json",
                "Accept": "application/json, text/event-stream",
            },
            timeout=httpx.Timeout(timeouts.token_s, connect=timeouts.connect_s),
        )

    async def run(self, lines: AsyncIterator[bytes]) -> None:
        """Pass on messages until they end; then wait a moment for the answers that are under way."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            async for line in lines:
                begun = self._begin(line)
                if begun:
                    tasks.add(begun)
                    begun.add_done_callback(tasks.discard)
            if tasks:
                await asyncio.wait(tasks, timeout=END_GRACE_S)
        finally:
            left = list(tasks)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await self._http.aclose()

    def _begin(self, line: bytes) -> "asyncio.Task[None] | None":
        if not line.strip():
            return None
        message = read_message(line)
        if message is None:
            self._answer_error(None, PARSE_ERROR, "This line is not a JSON-RPC message.")
            return None
        if message.get("method") == "notifications/cancelled":
            # The service has no sessions. It notices that nobody waits, and stops writing.
            running = self._running.pop((message.get("params") or {}).get("requestId"), None)
            if running:
                running.cancel()
            return None
        task = asyncio.ensure_future(self._pass_on(message, line.strip()))
        request_id = message.get("id")
        if request_id is not None:
            self._running[request_id] = task
            task.add_done_callback(lambda _: self._running.pop(request_id, None))
        return task

    async def _pass_on(self, message: Object, line: bytes) -> None:
        try:
            headers = self._headers_of(message)
            address = f"{self._settings.base_url}/mcp"
            async with self._http.stream("POST", address, content=line, headers=headers) as response:
                if not response.is_success:
                    await response.aread()
                    return self._answer_refusal(message, response)
                async for answer in read_messages(response):
                    self._note_version(message, answer)
                    write_line(answer)
        except httpx.TransportError as error:
            if message.get("id") is not None:
                failure = unreachable(self._settings, error)
                self._answer_error(message["id"], SERVER_ERROR, failure.message)

    def _headers_of(self, message: Object) -> dict[str, str]:
        """Return what HTTP says of a message: of old revisions the version, of new ones also what it is."""
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        version = (params.get("_meta") or {}).get(VERSION_IN_META)
        if not version:
            return {VERSION_HEADER: self._version} if self._version else {}
        method = str(message.get("method", ""))
        headers = {VERSION_HEADER: str(version), "Mcp-Method": method}
        name = params.get(NAMED_BY.get(method, ""))
        return {**headers, "Mcp-Name": name} if isinstance(name, str) and name.isascii() else headers

    def _note_version(self, message: Object, answer: bytes) -> None:
        if message.get("method") == "initialize":
            result = json.loads(answer).get("result") or {}
            self._version = result.get("protocolVersion", self._version)

    def _answer_refusal(self, message: Object, response: httpx.Response) -> None:
        """Pass on an error of the protocol; make one of an error of the API."""
        if message.get("id") is None:
            return
        if b'"jsonrpc"' in response.content:
            return write_line(_one_line(response.content))
        failure = read_error(response)
        self._answer_error(message["id"], SERVER_ERROR, failure.detail, code=failure.code)

    def _answer_error(self, request_id: object, number: int, sentence: str, code: str = "") -> None:
        error: Object = {"code": number, "message": sentence}
        if code:
            error["data"] = {"code": code}
        write_line(json.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}).encode())


def read_message(line: bytes) -> Object | None:
    """Return the JSON-RPC message of a line; None where it is none, or one of its parts has another type."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    params = message.get("params") or {} if isinstance(message, dict) else None
    if not isinstance(params, dict) or not isinstance(params.get("_meta") or {}, dict):
        return None
    ids = (message.get("id"), params.get("requestId"))
    method = message.get("method", "")
    is_typed = isinstance(method, str) and all(isinstance(one, str | int | float | None) for one in ids)
    return message if is_typed and method.isascii() else None


async def read_messages(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the messages of an answer: one as JSON, or those of an event stream."""
    if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
        body = await response.aread()
        if body.strip():
            yield _one_line(body)
        return
    # By bytes: httpx's lines would also end at characters that JSON texts may contain.
    unread = b""
    data: list[bytes] = []
    async for part in response.aiter_bytes():
        *lines, unread = (unread + part).split(b"\n")
        for line in lines:
            name, _, value = line.rstrip(b"\r").partition(b":")
            if name == b"data":
                data.append(value.strip())
            elif not name and not value and data:
                yield b" ".join(data)
                data = []


async def read_stdin() -> AsyncIterator[bytes]:
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    # A thread, since not every system can wait for stdin otherwise. It reads without a lock: one that Python
    # still held at its end would make that end a crash.
    def read() -> None:
        unread = b""
        with suppress(RuntimeError):  # the loop was closed by a signal: nobody waits for more
            while chunk := os.read(STDIN, CHUNK_BYTES):
                *whole, unread = (unread + chunk).split(b"\n")
                for line in whole:
                    loop.call_soon_threadsafe(lines.put_nowait, line)
            for rest in (unread, None):
                loop.call_soon_threadsafe(lines.put_nowait, rest)

    threading.Thread(target=read, daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line


def _one_line(message: bytes) -> bytes:
    return b" ".join(message.split(b"\n"))
