"""Servers that behave: a raw TCP one, and an engine like vLLM: one word a token, usage in every chunk; and a
client of the door."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from inference.api.app import app


async def eventually(condition: Callable[[], object], *, within_s: float = 5) -> None:
    """Return once a condition holds. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 it may be about anything
            await asyncio.sleep(0.005)


class RawServer:
    """A TCP server that says what its subclass says in `talk`; what is open at its end is aborted."""

    def __init__(self) -> None:
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        """Yield the port."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in list(self.open):
                writer.transport.abort()
            await server.wait_closed()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()


class FakeEngine:
    """Answers with `words`; `pace_s` a word; can refuse, break off, hang, fail in an event, or know only
    some adapters."""

    def __init__(self) -> None:
        self.words = ["Roses ", "are ", 'red, "dear" ', "usage: "]
        self.pace_s = 0.0
        self.breaks_after: int | None = None
        self.refuses: tuple[int, str] | None = None
        self.knows: set[str] | None = None
        self.aborts = False
        self.hangs = False
        self.may_begin: asyncio.Event | None = None  # streams wait for it after their head
        self.error_event: dict | None = None
        self.health = 200
        self.parsed: list[dict] = []
        self.written = 0
        self.is_hanging = asyncio.Event()
        self.hung_up = asyncio.Event()

    @asynccontextmanager
    async def serve(self, port: int | None = None) -> AsyncIterator[str]:
        """Yield its address; at the same port it is the same engine after a restart."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        app.router.add_get("/health", self.say_health)
        server = self._server = TestServer(app, port=port)
        await server.start_server()
        try:
            yield str(server.make_url("")).rstrip("/")
        finally:
            await server.close()

    async def die(self) -> None:
        """End as a killed process does: all connections break, nobody listens."""
        for connection in list(self._server.handler.connections):
            connection.transport.abort()
        await self._server.close()

    async def say_health(self, request: web.Request) -> web.Response:
        return web.Response(status=self.health)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.parsed.append(body)
        if self.aborts:
            request.transport.abort()
            return web.Response()
        if self.hangs:
            await self.hang(request, body)
        is_known = self.knows is None or body["model"] in self.knows
        refuses = self.refuses if is_known else (404, f"The model `{body['model']}` does not exist.")
        if refuses:
            status, message = refuses
            return web.json_response(
                {"error": {"message": message, "type": "x", "code": status}}, status=status
            )
        if not body["stream"]:
            await asyncio.sleep(self.pace_s * len(self.words))
            return web.json_response(self.chunk(body, "".join(self.words), len(self.words), "message"))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        if self.may_begin and "structured_outputs" in body:
            await self.may_begin.wait()
        if self.error_event:
            await response.write(self.frame(self.error_event) + b"data: [DONE]\n\n")
            return response
        try:
            for count, word in enumerate(self.words, start=1):
                if self.breaks_after is not None and count > self.breaks_after:
                    request.transport.abort()
                    return response
                await response.write(self.frame(self.chunk(body, word, count, "delta")))
                self.written = count
                await asyncio.sleep(self.pace_s)
            closing = self.chunk(body, "", len(self.words), "delta") | {"choices": []}
            await response.write(self.frame(closing) + b"data: [DONE]\n\n")
        except (ConnectionError, asyncio.CancelledError):
            self.hung_up.set()
            raise
        return response

    async def hang(self, request: web.Request, body: dict) -> None:
        """Say nothing until the client hangs up; where a stream is asked for, nothing but its head,
        or how a refusal begins."""
        try:
            if body["stream"]:
                response = web.StreamResponse(status=self.refuses[0] if self.refuses else 200)
                await response.prepare(request)
                await response.write(b"{" if self.refuses else b"")
            self.is_hanging.set()
            await asyncio.Event().wait()
        finally:  # aiohttp cancels it then
            self.hung_up.set()

    def chunk(self, body: dict, text: str, count: int, part: str) -> dict:
        last = "stop" if count == len(self.words) else None
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, part: {"role": "assistant", "content": text}, "finish_reason": last}],
            "usage": {
                "prompt_tokens": 10,
                "total_tokens": 10 + count,
                "completion_tokens": count,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
        }

    @staticmethod
    def frame(chunk: dict) -> bytes:
        return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


class Client:
    """Speaks ASGI to the door; hangs up after `hang_up_after` body parts."""

    def __init__(self, gateway, secret):
        self.gateway, self.secret = gateway, secret

    async def ask(
        self,
        body,
        *,
        path="/v1/chat/completions",
        hang_up_after=None,
        secret=None,
        method="POST",
        headers=None,
    ):
        sent, gone = [], asyncio.Event()
        incoming = iter([{"type": "http.request", "body": json.dumps(body).encode()}])

        async def receive():
            for message in incoming:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if hang_up_after is not None and len(sent) > hang_up_after:
                gone.set()

        bearer = f"Bearer {secret or self.secret}".encode()
        more = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        scope = {
            "type": "http", "path": path, "method": method, "headers": [(b"authorization", bearer), *more],
            "state": {"gateway": self.gateway},
        }  # fmt: skip
        await app(scope, receive, send)
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], head, b"".join(m.get("body", b"") for m in sent[1:])


def chat(**more):
    return {"model": "poetry", "messages": [{"role": "user", "content": "Rain?"}], **more}
