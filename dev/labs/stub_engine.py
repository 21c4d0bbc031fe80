"""vLLM's answers, byte for byte, ready before anybody asks. `python -m labs.stub_engine PORT`.

The model's name is the pace. `instant` sends each token by itself, as an engine does, but at once; `burst`
sends all of them together; `paced-5` one every 5 ms. The name that was asked for is echoed, as vLLM does.
"""

import asyncio
import gc
import json
import re
import sys
from functools import cache
from typing import Any

import httptools
import uvloop

INSTANT, BURST, PACED, HELD = MODELS = ("instant", "burst", "paced-5", "paced-5000")
TOKENS = 64
WORD = " rose"
TEXT = "A rose is a rose is a rose."
PROMPT_TOKENS = 31
ANSWER_TOKENS = 9
ID = "chatcmpl-0123456789abcdef"
CREATED = 1793606400
FINGERPRINT = "vllm-0.32.0-fa92a64d"
CACHED = {"cached_tokens": 0, "created_cache_tokens": 0}
MODEL = re.compile(rb'"model"\s*:\s*"([^"]*)"')
STREAM = re.compile(rb'"stream"\s*:\s*true')
OK = b"HTTP/1.1 200 OK\r\ndate: Mon, 02 Nov 2026 08:00:00 GMT\r\nserver: uvicorn\r\n"
SSE_TYPE = b"content-type: text/event-stream; charset=utf-8\r\nvary: Origin\r\n"
SSE = OK + SSE_TYPE + b"transfer-encoding: chunked\r\n\r\n"
JSON_TYPE = b"content-type: application/json\r\nvary: Origin\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client's connection: one request after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.parser = httptools.HttpRequestParser(self)
        self.loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.url = b""
        self.body = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self.url != b"/v1/chat/completions":
            self.transport.write(PAGES.get(self.url, NOT_FOUND))
            return
        parsed = MODEL.search(self.body)
        model = parsed[1].decode() if parsed else INSTANT
        if STREAM.search(self.body):
            self.steps = stream(model, running=b"continuous_usage_stats" in self.body)
            self.pace_s = pace_s(model)
            self.at = 0
            self.began_s = self.loop.time()
            self._step()
        else:
            self.transport.write(whole(model))

    def _step(self) -> None:
        """Send the next token; the loop's next pass, or the pace's next moment, sends the one after it."""
        if self.transport.is_closing():
            return
        self.transport.write(self.steps[self.at])
        self.at += 1
        if self.at == len(self.steps):
            return
        if self.pace_s:
            self.loop.call_at(self.began_s + self.at * self.pace_s, self._step)
        else:
            self.loop.call_soon(self._step)


@cache
def pace_s(model: str) -> float:
    """Return the seconds between two tokens that a model's name asks for."""
    return int(model.partition("-")[2] or 0) / 1000


@cache
def whole(model: str) -> bytes:
    """Return an answer in one piece."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": TEXT,
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "reasoning": None,
    }
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": "stop",
        "stop_reason": None,
        "token_ids": None,
        "routed_experts": None,
    }
    cached = CACHED | {"multimodal_tokens": None}
    usage = usage_of(ANSWER_TOKENS) | {"prompt_tokens_details": cached, "completion_tokens_details": None}
    head = {"id": ID, "object": "chat.completion", "created": CREATED, "model": model, "choices": [choice]}
    middle = {"service_tier": None, "system_fingerprint": FINGERPRINT, "usage": usage}
    rest = (
        "prompt_logprobs",
        "prompt_token_ids",
        "prompt_text",
        "kv_transfer_params",
        "ec_transfer_params",
        "metrics",
    )
    return _json(head | middle | dict.fromkeys(rest))


@cache
def stream(model: str, *, running: bool) -> list[bytes]:
    """Return what each step of the engine sends; `running` puts the usage so far into every chunk."""

    def event(choices: list[object], usage: dict[str, object] | None, **more: str | None) -> bytes:
        head = {"id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": model}
        data = {**head, "choices": choices, **({"usage": usage} if usage else {}), **more}
        return _chunk(event_of(data))

    def token(count: int, delta: dict[str, str], **ending: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **ending}
        first = {"prompt_token_ids": None, "prompt_text": None} if "role" in delta else {}
        usage = usage_of(count) | {"completion_tokens_details": None} if running else None
        return event([choice], usage, **first)

    role = token(0, {"role": "assistant", "content": ""})
    words = [token(n, {"content": WORD}, token_ids=None) for n in range(1, TOKENS)]
    last = token(TOKENS, {"content": WORD}, finish_reason="length", stop_reason=None, token_ids=None)
    total = event([], usage_of(TOKENS) | {"prompt_tokens_details": CACHED}, system_fingerprint=FINGERPRINT)
    end = last + total + _chunk(b"data: [DONE]\n\n") + _chunk(b"")
    steps = [SSE + role + words[0], *words[1:], end]
    return [b"".join(steps)] if model == BURST else steps


def usage_of(completion: int, *, prompt: int = PROMPT_TOKENS) -> dict[str, Any]:
    """Return the tokens that an answer reports, in vLLM's own order of fields (0.32)."""
    return {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}


def event_of(data: object) -> bytes:
    """Return a server-sent event."""
    return b"data: " + _compact(data) + b"\n\n"


def _compact(data: object) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _json(data: object) -> bytes:
    body = _compact(data)
    return OK + b"content-length: %d\r\n%s\r\n%s" % (len(body), JSON_TYPE, body)


PAGES = {
    b"/health": OK + b"content-length: 0\r\n\r\n",
    b"/v1/models": _json({"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]}),
}


async def serve(port: int) -> None:
    """Answer at a port until the process is stopped."""
    gc.disable()  # a pause here would be counted as the gateway's
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
