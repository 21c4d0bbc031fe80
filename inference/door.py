"""The door of the data plane: a plain ASGI app for `/v1/…`, beside Django, without its middleware."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from inference import messages, presenting, replays, responses, telemetry
from inference.admission import Rates
from inference.errors import DomainError, TooLarge, UnknownKey, UnknownPath
from inference.gateway import Gateway
from inference.listing import models_of
from inference.presenting import Headers
from inference.relay import Answer, counted, new_request_id, relay
from inference.schemas import Asked, parse

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BODY_MAX_BYTES = 4 * 1024 * 1024
COUNT_TOKENS = "/v1/messages/count_tokens"
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
JSON_HEADERS = [(b"content-type", b"application/json")]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """How its requests become what the engine is asked, and the answers what the client gets."""

    parse: Callable[[bytes], Asked]
    whole: Callable[[bytes, bytes, str], bytes] = lambda answer, *_: answer
    stream: Callable[[AsyncGenerator[bytes], bytes, str], AsyncGenerator[bytes]] = lambda events, *_: events


ENDPOINTS = {
    "/v1/chat/completions": Endpoint(partial(parse, "chat")),
    "/v1/completions": Endpoint(partial(parse, "text")),
    "/v1/messages": Endpoint(messages.parse, messages.whole, messages.stream),
    "/v1/responses": Endpoint(responses.parse, responses.whole, responses.stream),
}


@dataclass(eq=False)
class Exchange:
    """One request and how far its answer is."""

    scope: Scope
    receive: Receive
    send: Send
    request_id: str = field(default_factory=new_request_id)
    began_s: float = field(default_factory=time.perf_counter)
    started: bool = False

    def header(self, wanted: bytes) -> str:
        """Return a header's value, or "" where there is none."""
        for name, value in self.scope["headers"]:
            if name == wanted:
                return str(value.decode("latin-1"))
        return ""

    async def start(self, status: int, headers: Headers) -> None:
        """Send the status line and headers, with those that every answer carries."""
        self.started = True
        request_id = self.request_id.encode()
        elapsed_ms = int((time.perf_counter() - self.began_s) * 1000)
        every = [
            (b"x-request-id", request_id),
            (b"request-id", request_id),  # as Anthropic's clients read it
            (b"openai-processing-ms", b"%d" % elapsed_ms),
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": headers + every})

    async def write(self, data: bytes, *, more: bool) -> None:
        """Send a part of the body."""
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def whole(self, status: int, data: bytes, headers: Headers) -> None:
        """Send an answer in one piece."""
        await self.start(status, [*JSON_HEADERS, (b"content-length", b"%d" % len(data)), *headers])
        await self.write(data, more=False)

    async def body(self) -> bytes:
        """Return the request's body. Raises TooLarge before reading it all."""
        parts, size = [], 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ConnectionAbortedError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > BODY_MAX_BYTES:
                raise TooLarge(limit_bytes=BODY_MAX_BYTES)
            if not message.get("more_body"):
                return b"".join(parts)


async def door(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one HTTP request; every failure becomes an error in OpenAI's form."""
    exchange = Exchange(scope, receive, send)
    gateway: Gateway = scope["state"]["gateway"]
    try:
        await _answer(gateway, exchange)
    except ConnectionAbortedError:
        return
    except DomainError as error:
        await _refuse(exchange, error)
    except Exception:
        logger.exception("request %s failed", exchange.request_id)
        if exchange.started:
            raise
        await _refuse(exchange, DomainError("Something went wrong on our side; nothing was billed."))


async def _answer(gateway: Gateway, exchange: Exchange) -> None:
    path, method = exchange.scope["path"].rstrip("/"), exchange.scope["method"]
    if method == "POST" and (endpoint := ENDPOINTS.get(path)):
        await _generate(gateway, exchange, endpoint, path)
    elif method == "POST" and path == COUNT_TOKENS:
        caller = await gateway.caller(_secret(exchange))
        asked = messages.parse_count(await exchange.body())
        tokens = await counted(gateway, caller, asked, exchange.request_id)
        await exchange.whole(200, orjson.dumps({"input_tokens": tokens}), [])
    elif method == "GET" and path.startswith("/v1/models"):
        caller = await gateway.caller(_secret(exchange))
        listing = await models_of(gateway, caller, path.removeprefix("/v1/models").removeprefix("/"))
        await exchange.whole(200, orjson.dumps(listing), [])
    elif method == "GET" and path == "/healthz":  # of a gateway process without pages
        await gateway.check()
        await exchange.whole(200, b"{}", [])
    else:
        raise UnknownPath


async def _generate(gateway: Gateway, exchange: Exchange, endpoint: Endpoint, path: str) -> None:
    caller = await gateway.caller(_secret(exchange))
    body = await exchange.body()
    asked, request_id = endpoint.parse(body), exchange.request_id
    key = exchange.header(b"idempotency-key")
    if not key:
        return await _pass_on(await relay(gateway, caller, asked, request_id), endpoint, body, exchange)
    held = await replays.claim(gateway, caller, key, asked=path.encode() + body, request_id=request_id)
    if isinstance(held, Answer):
        return await _pass_on(held, endpoint, body, exchange)
    try:
        answer = await held.recorded(await relay(gateway, caller, asked, request_id))
        return await _pass_on(answer, endpoint, body, exchange)
    finally:
        await held.release()


def _secret(exchange: Exchange) -> str:
    scheme, _, secret = exchange.header(b"authorization").partition(" ")
    if scheme.lower() == "bearer":
        return secret.strip()
    if secret := exchange.header(b"x-api-key"):  # Anthropic's way
        return secret
    raise UnknownKey


async def _pass_on(answer: Answer, endpoint: Endpoint, body: bytes, exchange: Exchange) -> None:
    if answer.stream is None:
        return await exchange.whole(
            200, endpoint.whole(answer.whole, body, answer.request_id), answer.headers
        )
    stream = endpoint.stream(answer.stream, body, answer.request_id)
    await exchange.start(200, STREAM_HEADERS + answer.headers)
    return await _stream(stream, exchange)


async def _stream(stream: AsyncGenerator[bytes], exchange: Exchange) -> None:
    """Write a stream to its end; a client that hangs up ends it at once, also while it waits for a turn."""
    writing, hang_up = asyncio.current_task(), asyncio.create_task(_until_disconnect(exchange.receive))
    assert writing
    hang_up.add_done_callback(lambda task: task.cancelled() or writing.cancel())
    try:
        async for chunk in stream:
            await exchange.write(chunk, more=True)
        await exchange.write(b"", more=False)
    except asyncio.CancelledError:
        if not hang_up.done():
            raise
        writing.uncancel()
    finally:
        hang_up.cancel()
        await stream.aclose()


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(exchange: Exchange, error: DomainError) -> None:
    rates = error.facts.get("rates")
    limits = presenting.rate_headers(rates if isinstance(rates, Rates) else None)
    tell = messages.error if exchange.scope["path"].startswith("/v1/messages") else presenting.error
    status, body, headers = tell(error)
    if status >= 500:
        telemetry.answered_5xx(request=exchange.request_id, status=status, code=error.code)
    await exchange.whole(status, body, headers + limits)


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Hold the gateway open as long as the web process lives."""
    await receive()
    async with Gateway() as gateway:
        scope["state"]["gateway"] = gateway
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
