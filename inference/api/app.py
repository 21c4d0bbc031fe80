"""The door of the data plane: a plain ASGI app for `/v1/…`, beside Django, without its middleware."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from django.conf import settings

from foundation import valkey
from foundation.addresses import network_of
from inference import telemetry
from inference.api import cors, idempotency
from inference.api.models_endpoint import list_models
from inference.contract import http_errors
from inference.contract.dialects import anthropic_messages, openai_responses
from inference.contract.http_errors import Headers
from inference.contract.requests import ParsedRequest, parse_request
from inference.errors import (
    DomainError,
    ForeignOrigin,
    TooLarge,
    TooManyRefusals,
    UnknownKey,
    UnknownPath,
    WrongMethod,
)
from inference.proxy import bodies, response_headers
from inference.proxy.answer import Answer
from inference.proxy.bodies import BODY_MAX_BYTES
from inference.proxy.request import count_tokens, new_request_id, relay_request
from inference.proxy.runtime import Gateway
from inference.quota.admission import Caller, Rates

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

COUNT_TOKENS = "/v1/messages/count_tokens"
MODELS = "/v1/models"
HEALTH = ("/health", "/healthz")
POST, GET = ("POST",), ("GET", "HEAD")
# Answers are one workspace's: no cache on the way keeps them, and no browser takes them for a page.
PRIVATE_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),
    *PRIVATE_HEADERS,
]
JSON_HEADERS = [(b"content-type", b"application/json"), *PRIVATE_HEADERS]
REFUSED = range(400, 500)
COUNTED_TIMES = 16  # a refused prompt whose tokens were counted costs so many times what reading it does

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """How its requests become what the engine is asked, and the answers what the client gets."""

    parse: Callable[[bytes], ParsedRequest]
    whole: Callable[[bytes, bytes, str], bytes] = lambda answer, *_: answer
    stream: Callable[[AsyncGenerator[bytes], bytes, str], AsyncGenerator[bytes]] = lambda events, *_: events


ENDPOINTS = {
    "/v1/chat/completions": Endpoint(partial(parse_request, "chat")),
    "/v1/completions": Endpoint(partial(parse_request, "text")),
    "/v1/messages": Endpoint(
        anthropic_messages.parse_messages,
        anthropic_messages.message_of_chat,
        anthropic_messages.message_events,
    ),
    "/v1/responses": Endpoint(
        openai_responses.parse_response_request,
        openai_responses.response_of_chat,
        openai_responses.response_events,
    ),
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
    caller: Caller | None = None
    body_bytes: int = 0

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
        if settings.API_ALLOWED_ORIGINS:
            every += cors.headers(self.header(b"origin"))
        await self.send({"type": "http.response.start", "status": status, "headers": headers + every})

    async def write(self, data: bytes, *, more: bool) -> None:
        """Send a part of the body."""
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def whole(self, status: int, data: bytes, headers: Headers) -> None:
        """Send an answer in one piece."""
        await self.start(status, [*JSON_HEADERS, (b"content-length", b"%d" % len(data)), *headers])
        await self.write(data, more=False)

    def stranger(self) -> str:
        """Under which name in Valkey refusals of a client without a valid key are counted."""
        client = self.scope.get("client")
        return valkey.stranger_key(network_of(client[0]) if client else "")

    @asynccontextmanager
    async def body(self, gateway: Gateway, caller: Caller) -> AsyncIterator[bytes]:
        """Yield the request's body; until the end its memory counts as the workspace's.

        Raises TooLarge or TooMuchAtOnce before reading it all, UnknownEncoding, or BadRequest.
        """
        memory, parts = gateway.bodies, []
        declared = self.header(b"content-length")
        if declared.isdigit() and int(declared) > BODY_MAX_BYTES:
            raise TooLarge(limit_bytes=BODY_MAX_BYTES)
        taken = 0
        try:
            while True:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionAbortedError
                part = message.get("body", b"")
                self.body_bytes += len(part)
                if self.body_bytes > BODY_MAX_BYTES:
                    raise TooLarge(limit_bytes=BODY_MAX_BYTES)
                memory.take(caller.tenant_id, len(part))
                taken += len(part)
                parts.append(part)
                if not message.get("more_body"):
                    break
            body = bodies.decompress(b"".join(parts), self.header(b"content-encoding").strip().lower())
            parts.clear()
            if grown := max(0, len(body) - taken):
                memory.take(caller.tenant_id, grown)
                taken += grown
            yield body
        finally:
            memory.give_back(caller.tenant_id, taken)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one HTTP request; every failure becomes an error in OpenAI's form."""
    exchange = Exchange(scope, receive, send)
    gateway: Gateway = scope["state"]["gateway"]
    try:
        await _answer(gateway, exchange)
    except ConnectionAbortedError:
        return
    except DomainError as error:
        await _refuse(exchange, _counted(gateway, exchange, error))
    except Exception:
        logger.exception("request %s failed", exchange.request_id)
        if exchange.started:
            raise
        await _refuse(exchange, DomainError("Something went wrong on our side; nothing was billed."))


async def _answer(gateway: Gateway, exchange: Exchange) -> None:
    path, method = exchange.scope["path"].rstrip("/"), exchange.scope["method"]
    allowed = _methods_of(path)
    if method == "OPTIONS" and settings.API_ALLOWED_ORIGINS and exchange.header(b"origin"):
        return await _preflight(exchange, allowed)
    if method not in allowed:
        raise WrongMethod(allowed=", ".join(allowed), method=method[:20])
    if path in HEALTH:
        await gateway.check()
        return await exchange.whole(200, b'{"status":"ok"}', [])
    caller = await _caller(gateway, exchange)
    if method in GET:
        listing = await list_models(gateway, caller, path.removeprefix(MODELS).removeprefix("/"))
        return await exchange.whole(200, orjson.dumps(listing), [])
    async with exchange.body(gateway, caller) as body:
        if path == COUNT_TOKENS:
            parsed = anthropic_messages.parse_count_tokens(body)
            tokens = await count_tokens(gateway, caller, parsed, exchange.request_id)
            return await exchange.whole(200, orjson.dumps({"input_tokens": tokens}), [])
        return await _generate(gateway, caller, exchange, body)


def _methods_of(path: str) -> tuple[str, ...]:
    """Return the methods that a path answers. Raises UnknownPath."""
    if path in ENDPOINTS or path == COUNT_TOKENS:
        return POST
    if path == MODELS or path.startswith(f"{MODELS}/") or path in HEALTH:
        return GET
    raise UnknownPath


async def _preflight(exchange: Exchange, methods: tuple[str, ...]) -> None:
    """Tell a browser what a page may send; nothing else is looked at, not even a key."""
    origin = exchange.header(b"origin")
    if not cors.headers(origin):
        raise ForeignOrigin(origin=origin[:200])
    wanted = exchange.header(b"access-control-request-headers")
    await exchange.start(204, cors.preflight(wanted, ", ".join(methods)))
    await exchange.write(b"", more=False)


async def _caller(gateway: Gateway, exchange: Exchange) -> Caller:
    """Return whose key it is. Raises UnknownKey, or TooManyRefusals."""
    caller = await gateway.caller(_secret(exchange), exchange.stranger)
    exchange.caller = caller
    gateway.refusals.check(caller.names.refusals)
    return caller


async def _generate(gateway: Gateway, caller: Caller, exchange: Exchange, body: bytes) -> None:
    path = exchange.scope["path"].rstrip("/")
    endpoint = ENDPOINTS[path]
    parsed, request_id = endpoint.parse(body), exchange.request_id
    key = exchange.header(b"idempotency-key")
    if not key:
        return await _pass_on(
            await relay_request(gateway, caller, parsed, request_id), endpoint, body, exchange
        )
    held = await idempotency.acquire_lock(
        gateway, caller, key, parsed=path.encode() + body, request_id=request_id
    )
    if isinstance(held, Answer):
        return await _pass_on(held, endpoint, body, exchange)
    try:
        answer = await held.recorded(await relay_request(gateway, caller, parsed, request_id))
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


def _counted(gateway: Gateway, exchange: Exchange, error: DomainError) -> DomainError:
    """Return the error that is to be told: another one to those without a key who were refused too often."""
    refusals, caller = gateway.refusals, exchange.caller
    status, _ = http_errors.status_and_type(error)
    if status not in REFUSED or isinstance(error, TooManyRefusals):
        return error
    if caller:
        name, most = caller.names.refusals, settings.API_REFUSALS_PER_KEY
    else:
        name, most = exchange.stranger(), settings.API_REFUSALS_PER_ADDRESS
        try:
            refusals.check(name)
        except TooManyRefusals as told:
            return told
    work = exchange.body_bytes * (COUNTED_TIMES if error.facts.get("is_counted") else 1)
    gateway.keep(refusals.count(name, body_bytes=work, most=most))
    return error


async def _refuse(exchange: Exchange, error: DomainError) -> None:
    rates = error.facts.get("rates")
    limits = response_headers.rate_headers(rates if isinstance(rates, Rates) else None)
    tell = (
        anthropic_messages.error if exchange.scope["path"].startswith("/v1/messages") else http_errors.error
    )
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
