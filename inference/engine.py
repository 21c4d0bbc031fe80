"""The data client: sends checked requests to vLLM and reads its answers as they come."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from inference.admission import Grant
from inference.errors import BadRequest, ContextTooLong, DomainError, EngineUnavailable
from inference.schemas import Asked

PATHS = {"chat": "/v1/chat/completions", "text": "/v1/completions"}


async def send(
    http: aiohttp.ClientSession, asked: Asked, grant: Grant, *, salt: str
) -> aiohttp.ClientResponse:
    """Return vLLM's answer, its body not read yet.

    Raises BadRequest with vLLM's reason, or EngineUnavailable (not reachable, overloaded, or the adapter was
    forgotten in a restart and is about to be loaded again).
    """
    route = grant.route
    body = asked.fields | {
        "model": route["lora"], "max_tokens": grant.output_tokens, "stream": asked.stream, "cache_salt": salt,
    }  # fmt: skip
    if asked.stream:
        # Every chunk carries the running usage, so that a hang-up is billed what was made.
        body["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    try:
        response = await http.post(
            route["url"] + PATHS[asked.kind], json=body, headers={"x-request-id": grant.request_id}
        )
        if response.status == 200:
            return response
        raise _refusal(response.status, await response.read(), asked, route)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise EngineUnavailable from error


def _refusal(status: int, body: bytes, asked: Asked, route: dict[str, Any]) -> DomainError:
    """Return our error for vLLM's: its own may carry disk paths and internal names."""
    if status not in (400, 422):
        return EngineUnavailable(retry_s=2)
    try:
        message = str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return BadRequest("The model server refused the request.")
    if "maximum context length" in message or "max_model_len" in message:
        return ContextTooLong(max_model_len=route["max_model_len"], param="messages")
    clean = message.replace(route["lora"], asked.model)
    return BadRequest("The model server refused the request." if "/" in clean else clean[:500])


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the data of each server-sent event, without framing. Raises EngineUnavailable when it breaks."""
    buffer = b""
    try:
        async for chunk in response.content.iter_any():
            buffer += chunk
            *whole, buffer = buffer.split(b"\n\n")
            for event in whole:
                if event.startswith(b"data: "):
                    yield event[6:]
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise EngineUnavailable from error
