"""vLLM's data side, in the test's own event loop: chats that stream word by word, and what can go wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from labs.stub_engine import event_of, usage_of
from tests.fakes.vllm_control import error_body

CACHED = {"cached_tokens": 4, "created_cache_tokens": 3, "multimodal_tokens": None}


class FakeVllm:
    """Answers with `words`, a token each, `pace_s` apart, and reports usage in every chunk.

    It can refuse, break off, hang, fail in an event, or know only some adapters.
    """

    def __init__(self) -> None:
        self.words = ["Roses ", "are ", 'red, "dear" ', "usage: "]
        self.pace_s = 0.0
        self.pauses_after: int | None = None  # words, until a test takes it back
        self.stop_reason: str | None = None  # of an answer's end
        self.words_counted: int | None = None  # as tokens, if not all
        self.breaks_after: int | None = None
        self.refuses: tuple[int, str] | None = None
        self.knows: set[str] | None = None
        self.aborts = False
        self.hangs = False
        self.may_begin: asyncio.Event | None = None  # streams wait for it after their head
        self.error_event: dict[str, Any] | None = None
        self.error_after = 0  # words
        self.health = 200
        self.watermark_epoch = ""
        self.can_abort = True
        self.aborted: set[str] = set()
        self.received: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []  # of the same requests
        self.written = 0
        self.is_hanging = asyncio.Event()
        self.hung_up = asyncio.Event()

    @asynccontextmanager
    async def serve(self, port: int | None = None) -> AsyncIterator[str]:
        """Yield its address; at the same port it is the same engine after a restart."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        app.router.add_post("/v1/completions", self.answer)
        app.router.add_post("/inference/v1/abort_requests", self.abort_requests)
        app.router.add_get("/health", self.say_health)
        server = self._server = TestServer(app, port=port)
        await server.start_server()
        try:
            yield str(server.make_url("")).rstrip("/")
        finally:
            await server.close()

    async def die(self) -> None:
        """End as a killed process does: all connections break, nobody listens."""
        assert self._server.handler
        for connection in list(self._server.handler.connections):
            if connection.transport:
                connection.transport.abort()
        await self._server.close()

    async def say_health(self, request: web.Request) -> web.Response:
        return web.Response(status=self.health)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.received.append(body)
        self.headers.append(dict(request.headers))
        if self.aborts:
            abort(request)
            return web.Response()
        if self.hangs:
            await self.hang(request, body)
        is_known = self.knows is None or body["model"] in self.knows
        refuses = self.refuses if is_known else (404, f"The model `{body['model']}` does not exist.")
        if refuses:
            status, message = refuses
            return web.json_response(error_body(status, "x", message), status=status)
        if not body["stream"]:
            count = await self.write_whole(f"chatcmpl-{request.headers.get('x-request-id')}")
            whole = self.chunk(body, "".join(self.words[:count]), count, "message")
            return web.json_response(whole, headers=self.watermark_header())
        response = web.StreamResponse(headers={"content-type": "text/event-stream"} | self.watermark_header())
        await response.prepare(request)
        if self.may_begin and "structured_outputs" in body:
            await self.may_begin.wait()
        try:
            for count, word in enumerate(self.words, start=1):
                if self.error_event and count > self.error_after:
                    await response.write(self.frame(self.error_event) + b"data: [DONE]\n\n")
                    return response
                if self.breaks_after is not None and count > self.breaks_after:
                    abort(request)
                    return response
                await response.write(self.frame(self.chunk(body, word, count, "delta")))
                self.written = count
                await self.pause(count)
            closing = self.chunk(body, "", len(self.words), "delta") | {"choices": []}
            await response.write(self.frame(closing) + b"data: [DONE]\n\n")
        except (ConnectionError, asyncio.CancelledError):
            self.hung_up.set()
            raise
        return response

    def watermark_header(self) -> dict[str, str]:
        return {"x-watermark-epoch": self.watermark_epoch} if self.watermark_epoch else {}

    async def write_whole(self, name: str) -> int:
        """Return how many words were written until the end, or until the request was aborted."""
        count = 0
        for _ in self.words:
            if name in self.aborted:
                break
            count += 1
            await self.pause(count)
            self.written = count
        return count

    async def pause(self, count: int) -> None:
        """Wait between two words."""
        await asyncio.sleep(self.pace_s)
        while self.pauses_after is not None and count >= self.pauses_after:  # noqa: ASYNC110 -- set by any thread
            await asyncio.sleep(0.005)

    async def abort_requests(self, request: web.Request) -> web.Response:
        if not self.can_abort:
            return web.Response(status=404)
        self.aborted.update((await request.json())["request_ids"])
        return web.Response()

    async def hang(self, request: web.Request, body: dict[str, Any]) -> None:
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

    def chunk(self, body: dict[str, Any], text: str, count: int, part: str) -> dict[str, Any]:
        last = "stop" if count == len(self.words) else None
        said = {"text": text} if "prompt" in body else {part: {"role": "assistant", "content": text}}
        choice = {"index": 0, **said, "finish_reason": last}
        if last:
            choice["stop_reason"] = self.stop_reason
        counted = count if self.words_counted is None else min(count, self.words_counted)
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": usage_of(counted, prompt=10) | {"prompt_tokens_details": CACHED},
        }

    @staticmethod
    def frame(chunk: dict[str, Any]) -> bytes:
        return event_of(chunk)


def abort(request: web.Request) -> None:
    """Break a request's connection, as a process that is killed does."""
    if request.transport:
        request.transport.abort()
