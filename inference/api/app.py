"""The ASGI app of `/v1/…`: it runs beside Django, without its middleware.

A request passes these functions from top to bottom: route it, verify its API key, read its body, parse it by
the request contract, relay it to an engine (`inference.proxy`), send the answer in the endpoint's dialect.
"""

import asyncio
import gc
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson
from django.conf import settings

from core.draining import is_draining
from inference import telemetry, tracing
from inference.api import cors, idempotency
from inference.api.exchange import STREAM_HEADERS, Exchange, Receive, Scope, Send
from inference.api.idempotency import IdempotencyLock
from inference.api.key_endpoint import describe_key, describe_usage
from inference.api.models_endpoint import answer_models
from inference.api.refusal_counts import CLIENT_ERRORS, count_refusal, count_work
from inference.api.tokenizer_endpoints import describe_tokenizer, run_task
from inference.api.turns import begin_turn, recall_turn
from inference.contract import http_errors
from inference.contract.dialects import anthropic_messages
from inference.contract.endpoints import (
    COUNTS,
    GENERATIONS,
    GET,
    INPUT_TOKENS,
    KEY,
    OPEN,
    READY,
    RESPONSES,
    TOKEN_TASKS,
    TOKENIZER_INFO,
    USAGE,
    VERSION,
    Generation,
    allowed_methods,
    name_endpoint,
    preflight_methods,
)
from inference.errors import (
    DomainError,
    ForeignOrigin,
    Limited,
    TooManyRefusals,
    UnknownKey,
    WrongMethod,
)
from inference.facts import JsonObject, Stream
from inference.proxy.answer import AnswerStream, GatewayAnswer
from inference.proxy.request import count_tokens, relay_request
from inference.proxy.runtime import Gateway
from inference.quota.admission import Caller

logger = logging.getLogger(__name__)


@inspect.markcoroutinefunction
def app(scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
    """Answer one HTTP request of `/v1`."""
    return answer_exchange(Exchange(scope, receive, send), _route)


async def answer_exchange(exchange: Exchange, route: Callable[[Gateway, Exchange], Awaitable[None]]) -> None:
    """Have `route` answer; every failure becomes an error in the dialect of its endpoint, and is counted."""
    gateway: Gateway = exchange.scope["state"]["gateway"]
    try:
        await route(gateway, exchange)
    except ConnectionAbortedError:
        return  # the client disconnected while it sent its body: nobody reads an answer
    except DomainError as error:
        await _send_error(exchange, _count_refusal(gateway, exchange, error))
    except Exception:
        logger.exception("request %s failed", exchange.request_id)
        if exchange.has_begun:  # the status is sent: the server can only break the connection
            raise
        await _send_error(exchange, DomainError("Something went wrong on our side. Nothing was billed."))
    finally:
        telemetry.request_ended(exchange.end_record(name_endpoint(exchange.path)))


def _route(gateway: Gateway, exchange: Exchange) -> Coroutine[Any, Any, None]:
    """Return what answers this path. Preflights, health checks and the version need no key.

    It is no coroutine itself: what a request waits for would have to resume it each time.
    """
    path = exchange.path
    method = exchange.method
    if method == "OPTIONS" and settings.API_ALLOWED_ORIGINS and exchange.header(b"origin"):
        return answer_preflight(exchange, preflight_methods(path))
    allowed = allowed_methods(path)
    if method not in allowed:
        raise WrongMethod(allowed=", ".join(allowed), method=method[:20])
    if path in OPEN:
        return _answer_anybody(gateway, exchange)
    return _answer_get(gateway, exchange) if method in GET else _answer_post(gateway, exchange)


async def _answer_get(gateway: Gateway, exchange: Exchange) -> None:
    caller = await authenticate(gateway, exchange)
    answer = await _read(gateway, caller, exchange)
    await exchange.send_json(200, orjson.dumps(answer), [])


async def _answer_post(gateway: Gateway, exchange: Exchange) -> None:
    caller = await authenticate(gateway, exchange)
    endpoint = GENERATIONS.get(exchange.path)
    key = exchange.header(b"idempotency-key")
    try:
        body = await exchange.read_body(gateway, caller)
        if endpoint is None:
            counted = await _ask_tokenizer(gateway, caller, exchange, body)
            return await exchange.send_json(200, orjson.dumps(counted), [])
        if key:
            return await _generate_once(gateway, caller, exchange, body, key)
        if _may_be_stateful(exchange):
            return await _relay(gateway, caller, exchange, body)
        parsed = endpoint.parse(body)
        exchange.model = parsed.model
        answer = await relay_request(
            gateway, caller, parsed, exchange.request_id, exchange.record, client=exchange
        )
        return await _send_answer(exchange, endpoint, body, answer)
    finally:
        exchange.release_body(gateway, caller)


async def _answer_anybody(gateway: Gateway, exchange: Exchange) -> None:
    """Answer at a path that needs no key. Raises what is wrong with a part."""
    status = 200
    answer = {"status": "ok"}
    if exchange.path == VERSION:
        answer = {"version": settings.VERSION}
    elif is_draining():
        status, answer = 503, {"status": "draining"}
    elif exchange.path in READY:
        await gateway.valkey.execute("PING")
        await gateway.routes.ensure_loaded()
    await exchange.send_json(status, orjson.dumps(answer), [])


async def _read(gateway: Gateway, caller: Caller, exchange: Exchange) -> JsonObject:
    """Return what a GET is for: the styles that a key may use, the key itself, what it used, …"""
    query = exchange.scope.get("query_string", b"")
    if exchange.path == KEY:
        return await describe_key(gateway, caller)
    if exchange.path == USAGE:
        return await describe_usage(gateway, caller, query)
    if exchange.path == TOKENIZER_INFO:
        return await describe_tokenizer(gateway, caller)
    return await answer_models(
        gateway, caller, exchange.path, query=query, is_anthropics=exchange.is_anthropics
    )


async def authenticate(gateway: Gateway, exchange: Exchange) -> Caller:
    """Return whose API key the request has. Raises UnknownKey, or TooManyRefusals."""
    caller = await gateway.workspaces.caller(_read_secret(exchange), exchange.address_key)
    exchange.caller = caller
    # This comes before the body is read: reading it is the costly part of a refused request.
    gateway.refusals.check(caller.names.refusals)
    return caller


def _read_secret(exchange: Exchange) -> str:
    scheme, _, secret = exchange.header(b"authorization").partition(" ")
    if scheme.lower() == "bearer":
        return secret.strip()
    secret = exchange.header(b"x-api-key")  # Anthropic's clients send it here
    if not secret:
        raise UnknownKey
    return secret


async def _generate_once(gateway: Gateway, caller: Caller, exchange: Exchange, body: bytes, key: str) -> None:
    """Have an engine write the answer, under an `Idempotency-Key` only once."""
    # The same body at another endpoint is another request.
    identity = exchange.path.encode() + body
    request_id = exchange.request_id
    lock = await idempotency.acquire_lock(gateway, caller, key, identity=identity, request_id=request_id)
    if isinstance(lock, GatewayAnswer):
        return await _repeat(gateway, caller, exchange, body, lock)
    try:
        await _relay(gateway, caller, exchange, body, lock)
    finally:
        await lock.release()


async def _repeat(
    gateway: Gateway, caller: Caller, exchange: Exchange, body: bytes, answer: GatewayAnswer
) -> None:
    """Send the stored answer of an Idempotency-Key again."""
    endpoint = GENERATIONS[exchange.path]
    if _may_be_stateful(exchange):
        turn = await recall_turn(gateway, caller, answer.request_id, body)
        endpoint, body = turn.endpoint, turn.body
    exchange.model = endpoint.parse(body).model
    # No limit of the plan counts it, and reading its request was work.
    count_work(gateway, caller, exchange.unpacked_bytes)
    await _send_answer(exchange, endpoint, body, answer)


async def _relay(
    gateway: Gateway, caller: Caller, exchange: Exchange, body: bytes, lock: IdempotencyLock | None = None
) -> None:
    """Relay a request that may build on a stored response, and send its answer, which the lock stores."""
    endpoint = GENERATIONS[exchange.path]
    turn = await begin_turn(gateway, caller, exchange, body) if _may_be_stateful(exchange) else None
    if turn:
        endpoint, body = turn.endpoint, turn.body
    try:
        parsed = endpoint.parse(body)
        exchange.model = parsed.model
        answer = await relay_request(
            gateway, caller, parsed, exchange.request_id, exchange.record, client=exchange
        )
        await _send_answer(exchange, endpoint, body, await lock.record(answer) if lock else answer)
    finally:
        if turn:
            await turn.end()


def _may_be_stateful(exchange: Exchange) -> bool:
    return exchange.path == RESPONSES and settings.RESPONSES_STORE


async def _send_answer(exchange: Exchange, endpoint: Generation, body: bytes, answer: GatewayAnswer) -> None:
    """Send an answer in the endpoint's dialect. `body` is the request's, which some dialects repeat."""
    if answer.stream is None:
        if endpoint.store_answer:
            data = await endpoint.store_answer(answer)
        else:
            data = endpoint.translate_answer(answer.body, body, answer.request_id)
        return await exchange.send_json(200, data, answer.headers)
    stream = endpoint.translate_events(answer.stream, body, answer.request_id)
    await exchange.send_head(200, STREAM_HEADERS + answer.headers)
    return await _send_stream(exchange, stream)


async def _send_stream(exchange: Exchange, stream: Stream) -> None:
    """Send a stream to its end. A client that disconnects ends it at once, even while it waits in a queue."""
    sending = asyncio.current_task()
    assert sending
    exchange.watch_disconnect(sending.cancel)
    if isinstance(stream, AnswerStream) and exchange.server:
        stream.write_to(exchange.server)
    is_over = False
    try:
        async for chunk in stream:
            # The last chunk and the end of the body go out in one write.
            is_over = isinstance(stream, AnswerStream) and stream.is_over
            await exchange.send_part(chunk, more=not is_over)
        if not is_over:
            await exchange.send_part(b"", more=False)
    except asyncio.CancelledError:
        if not exchange.has_disconnected:  # the server is stopping
            raise
        sending.uncancel()
    finally:
        exchange.unwatch_disconnect()
        await stream.aclose()


async def _ask_tokenizer(gateway: Gateway, caller: Caller, exchange: Exchange, body: bytes) -> JsonObject:
    """Return how many tokens a prompt has, or what they are."""
    task = TOKEN_TASKS.get(exchange.path)
    if task:
        return await run_task(
            gateway, caller, task(body), request_id=exchange.request_id, body_bytes=len(body)
        )
    endpoint = COUNTS[exchange.path]
    if exchange.path == INPUT_TOKENS and settings.RESPONSES_STORE:
        turn = await begin_turn(gateway, caller, exchange, body, is_count=True)
        body = turn.body if turn else body
    parsed = endpoint.parse(body)
    return endpoint.describe(await count_tokens(gateway, caller, parsed, exchange.request_id))


async def answer_preflight(exchange: Exchange, methods: tuple[str, ...]) -> None:
    """Tell a browser what a page may send. A preflight carries no key. Raises ForeignOrigin."""
    origin = exchange.header(b"origin")
    if not cors.origin_headers(origin):
        raise ForeignOrigin(origin=origin[:200])
    requested = exchange.header(b"access-control-request-headers")
    await exchange.send_head(204, cors.preflight_headers(requested, ", ".join(methods)))
    await exchange.send_part(b"", more=False)


def _count_refusal(gateway: Gateway, exchange: Exchange, error: DomainError) -> DomainError:
    """Count a refused request, by its key or its address; return the error to send.

    That is another one for an address that had too many refusals: only here is it known that the request has
    no valid key.
    """
    if exchange.caller:
        count_refusal(
            gateway,
            exchange.caller,
            error,
            request_id=exchange.request_id,
            model=exchange.model,
            body_bytes=exchange.unpacked_bytes,
        )
        return error
    status, _ = http_errors.status_and_type(error)
    if status not in CLIENT_ERRORS or isinstance(error, TooManyRefusals):
        return error
    refusals = gateway.refusals
    counter = exchange.address_key()
    try:
        refusals.check(counter)
    except TooManyRefusals as too_many:
        return too_many
    # The count is written beside the answer: the client does not wait for Valkey.
    most = settings.API_REFUSALS_PER_ADDRESS
    gateway.tasks.spawn(refusals.count(counter, body_bytes=exchange.body_bytes, most=most))
    return error


async def _send_error(exchange: Exchange, error: DomainError) -> None:
    """Send an error in Anthropic's form to its clients, else in OpenAI's."""
    dialect = anthropic_messages if exchange.is_anthropics else http_errors
    status, body, headers = dialect.error(error)
    exchange.record.code = error.code
    headers = headers + http_errors.rate_headers(error.rates if isinstance(error, Limited) else None)
    if status >= 500:
        telemetry.answered_5xx(request=exchange.request_id, status=status, code=error.code)
    await exchange.send_json(status, body, headers)


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Open the gateway when the web process starts, and close it when the process stops."""
    await receive()
    tracing.configure(settings.TRACES_ENDPOINT, ratio=settings.TRACES_RATIO)
    async with Gateway() as gateway:
        scope["state"]["gateway"] = gateway
        # What is loaded now stays: a full collection that looks at all of it stops every request for 100 ms.
        gc.collect()
        gc.freeze()
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await asyncio.to_thread(tracing.shut_down)
    await send({"type": "lifespan.shutdown.complete"})
