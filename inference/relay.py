"""The deed of the data plane: admit, send to the engine, pass the answer on, settle before the last byte."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import aiohttp
from asgiref.sync import sync_to_async
from django.conf import settings
from redis.exceptions import RedisError

from inference import counting, engine, metering, presenting
from inference.admission import Caller, Cold, Crude, Grant, admit
from inference.errors import EngineUnavailable, GateUnavailable, Limited
from inference.gateway import Gateway
from inference.metering import Usage
from inference.schemas import Asked

HEARTBEAT_S = 5
SETTLE_TRIES_S = (0, 0.1, 0.5, 1, 2, 4, 8)  # Valkey may be restarting: an answer waits for it, unbilled never
DONE = b"[DONE]"
# vLLM adds fields of its own (KV transfer, routed experts, …) that are nobody's business.
PUBLIC_FIELDS = ("id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint")


@dataclass(frozen=True)
class Answer:
    """An answer on its way: `body` yields its bytes; closing it early is a hang-up, and settles."""

    grant: Grant
    stream: bool
    body: AsyncGenerator[bytes]


def new_request_id() -> str:
    """Return an id that is unique for ever: it names the hold, the usage event and the ledger entry."""
    return f"req_{uuid4().hex}"


async def relay(gateway: Gateway, caller: Caller, asked: Asked, request_id: str) -> Answer:
    """Return the answer once its first bytes are there. Raises DomainError; then nothing is billed.

    A streamed answer whose client hangs up is stopped, and billed what the engine reported until then. One
    that isn't streamed runs to its end and is billed whole: the engine reports its count only there.
    """
    grant = await _admit(gateway, caller, asked, request_id)
    usage = Usage()
    beat = asyncio.create_task(_heartbeat(gateway, grant, usage))
    settle = partial(_settle, gateway, grant, usage, beat)
    try:
        response = await engine.send(gateway.http, asked, grant, salt=_salt(caller.tenant_id))
        if asked.stream:
            chunks = _streamed(response, asked, grant.route, usage)
            return Answer(grant, True, _settled(await anext(chunks), chunks, settle))
        whole = await _whole(response, grant.route, usage)
    except BaseException:
        usage.forget()
        await asyncio.shield(settle("upstream_error"))
        raise
    await asyncio.shield(settle("complete"))
    return Answer(grant, False, _once(whole))


async def _admit(gateway: Gateway, caller: Caller, asked: Asked, request_id: str) -> Grant:
    prompt = asked.prompt_bound()
    ask = partial(
        admit, gateway.admission, caller, request_id=request_id, model=asked.model,
        output=asked.output_tokens, choices=asked.choices,
    )  # fmt: skip
    warm = exact = False
    while True:
        try:
            return await ask(prompt=prompt, exact=exact)
        except Cold as error:
            if warm:
                raise GateUnavailable from error
            await gateway.warm(caller.tenant_id)
            warm = True
        except (Crude, Limited):
            # The byte bound is crude; where it matters, the base model's own tokenizer decides.
            if exact:
                raise
            counted = await sync_to_async(counting.prompt_tokens, thread_sensitive=False)(asked)
            prompt, exact = min(prompt, counted), True
        except (RedisError, OSError) as error:
            raise GateUnavailable from error


async def _settled(
    first: bytes, rest: AsyncGenerator[bytes], settle: Callable[[str], Awaitable[None]]
) -> AsyncGenerator[bytes]:
    """Yield a stream; settle before its end, or when the client hangs up or the engine breaks off."""
    outcome, closing = "client_disconnect", _frame(DONE)
    try:
        yield first
        async for chunk in rest:
            yield chunk
        outcome = "complete"
    except EngineUnavailable as error:
        outcome, closing = "upstream_error", _frame(presenting.body(error))
    finally:
        await rest.aclose()
        await asyncio.shield(settle(outcome))
    yield closing


async def _once(whole: bytes) -> AsyncGenerator[bytes]:
    yield whole


async def _streamed(
    response: aiohttp.ClientResponse, asked: Asked, route: dict[str, Any], usage: Usage
) -> AsyncGenerator[bytes]:
    internal, public = (b'"model":' + json.dumps(route[name]).encode() for name in ("lora", "name"))
    try:
        async for event in engine.events(response):
            if event == DONE:
                return
            if event.startswith(b'{"error"'):
                raise EngineUnavailable
            if chunk := _without_usage(event.replace(internal, public, 1), asked, usage):
                yield _frame(chunk)
        raise EngineUnavailable  # it broke off without saying that it was done
    finally:
        response.close()


async def _whole(response: aiohttp.ClientResponse, route: dict[str, Any], usage: Usage) -> bytes:
    try:
        answer = json.loads(await response.read())
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise EngineUnavailable from error
    usage.take(answer.get("usage") or {})
    usage.finish_reason = answer["choices"][0].get("finish_reason") or ""
    answer["model"] = route["name"]
    return json.dumps({name: answer[name] for name in PUBLIC_FIELDS if name in answer}).encode()


def _without_usage(event: bytes, asked: Asked, usage: Usage) -> bytes:
    """Take the running usage out of a chunk; return the chunk, or b"" for one that only carried usage.

    A quote inside generated text is escaped in JSON, so `,"usage":` can only be the key itself.
    """
    at = event.rfind(b',"usage":')
    if at < 0:
        return event
    text = event[at + 9 :].decode()
    reported, end = json.JSONDecoder().raw_decode(text)
    if reported:
        usage.take(reported)
    if b'"finish_reason":"' in event:
        usage.finish_reason = event.split(b'"finish_reason":"', 1)[1].split(b'"', 1)[0].decode()
    if b'"choices":[]' in event:
        return event if asked.include_usage else b""
    return event[:at] + text[end:].encode()


def _frame(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


async def _settle(
    gateway: Gateway, grant: Grant, usage: Usage, beat: asyncio.Task[None], outcome: str
) -> None:
    beat.cancel()
    if outcome == "upstream_error" and not usage.completion:
        usage.forget()
    for pause_s in SETTLE_TRIES_S:
        await asyncio.sleep(pause_s)
        try:
            return await metering.settle(gateway.settlement, grant, usage, outcome)
        except (RedisError, OSError):
            continue
    raise GateUnavailable  # the lease runs out and the sweeper bills the last heartbeat


async def _heartbeat(gateway: Gateway, grant: Grant, usage: Usage) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        with suppress(RedisError, OSError):
            await metering.extend(gateway.extension, grant, usage)


def _salt(tenant_id: UUID) -> str:
    """Return the tenant's secret prefix-cache salt: nobody can time another tenant's cached prompts."""
    return hmac.new(settings.CACHE_SALT_SECRET, tenant_id.bytes, hashlib.sha256).hexdigest()[:32]
