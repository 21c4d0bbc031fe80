"""The door of the data plane: a plain ASGI app for `/v1/…`, beside Django, without its middleware."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from inference import presenting, replays
from inference.admission import Caller, Rates
from inference.errors import DomainError, TooLarge, UnknownKey, UnknownPath
from inference.gateway import Gateway
from inference.listing import models_of
from inference.presenting import Headers
from inference.relay import Answer, new_request_id, relay
from inference.schemas import Asked, Kind, parse

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BODY_MAX_BYTES = 4 * 1024 * 1024
KINDS: dict[str, Kind] = {"/v1/chat/completions": "chat", "/v1/completions": "text"}
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
JSON_HEADERS = [(b"content-type", b"application/json")]

logger = logging.getLogger(__name__)


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
        elapsed_ms = int((time.perf_counter() - self.began_s) * 1000)
        every = [
            (b"x-request-id", self.request_id.encode()),
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
    if path in KINDS and method == "POST":
        caller = await gateway.caller(_secret(exchange))
        body = await exchange.body()
        asked = parse(KINDS[path], body)
        if key := exchange.header(b"idempotency-key"):
            asked_bytes = path.encode() + body
            await _answer_once(gateway, exchange, caller, asked, key=key, asked_bytes=asked_bytes)
        else:
            await _pass_on(await relay(gateway, caller, asked, exchange.request_id), exchange)
    elif path.startswith("/v1/models") and method == "GET":
        caller = await gateway.caller(_secret(exchange))
        listing = await models_of(gateway, caller, path.removeprefix("/v1/models").removeprefix("/"))
        await exchange.whole(200, json.dumps(listing).encode(), [])
    else:
        raise UnknownPath


async def _answer_once(
    gateway: Gateway, exchange: Exchange, caller: Caller, asked: Asked, *, key: str, asked_bytes: bytes
) -> None:
    """Answer a request with an idempotency key: from what is kept, or by doing it and keeping the answer."""
    request_id = exchange.request_id
    held = await replays.claim(gateway, caller, key, asked=asked_bytes, request_id=request_id)
    if isinstance(held, replays.Stored):
        await exchange.start(200, [*held.headers, (b"idempotent-replayed", b"true")])
        return await exchange.write(held.body, more=False)
    try:
        answer = await relay(gateway, caller, asked, request_id)
        first = (b"x-polyscribe-first-request", request_id.encode())
        kept = [*presenting.provenance(answer.grant.route_json), first]
        if answer.stream:
            answer.stream = held.recorded(answer.stream, STREAM_HEADERS + kept)
        else:
            await held.keep(replays.Stored(JSON_HEADERS + kept, answer.whole))
        return await _pass_on(answer, exchange)
    finally:
        await held.release()


def _secret(exchange: Exchange) -> str:
    scheme, _, secret = exchange.header(b"authorization").partition(" ")
    if scheme.lower() != "bearer":
        raise UnknownKey
    return secret.strip()


async def _pass_on(answer: Answer, exchange: Exchange) -> None:
    headers = presenting.rate_headers(answer.grant.rates) + presenting.provenance(answer.grant.route_json)
    if answer.stream is None:
        return await exchange.whole(200, answer.whole, headers)
    await exchange.start(200, STREAM_HEADERS + headers)
    return await _stream(answer.stream, exchange)


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
    headers = presenting.headers(error) + presenting.rate_headers(rates if isinstance(rates, Rates) else None)
    await exchange.whole(presenting.status_and_type(error)[0], presenting.body(error), headers)


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Hold the gateway open as long as the web process lives."""
    await receive()
    async with Gateway() as gateway:
        scope["state"]["gateway"] = gateway
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
