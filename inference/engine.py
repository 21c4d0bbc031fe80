"""The data client: writes checked requests for vLLM, and reads its refusals."""

import hashlib
import hmac
import json
from functools import lru_cache
from uuid import UUID

import orjson
from django.conf import settings

from inference.admission import Grant, Route
from inference.errors import BadRequest, ContextTooLong, DomainError, EngineUnavailable
from inference.schemas import Asked
from inference.upstream import Broken, Response, Upstream

PATHS = {"chat": "/v1/chat/completions", "text": "/v1/completions"}


async def send(upstream: Upstream, asked: Asked, grant: Grant, *, rank: int) -> Response:
    """Return vLLM's answer, its body not read yet. Of prompts that wait it reads that of lowest rank first.

    Raises BadRequest with vLLM's reason, or EngineUnavailable (not reachable, overloaded, or the adapter was
    forgotten in a restart and is about to be loaded again).
    """
    route = grant.route
    body = asked.fields | {
        "model": route["lora"], "max_tokens": grant.output_tokens, "stream": asked.stream,
        "cache_salt": _salt(grant.caller.tenant_id), "priority": rank,
    }  # fmt: skip
    if asked.stream:
        # Every chunk carries the running usage, so that a hang-up is billed what was made.
        body["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    headers = f"{_standing_headers()}x-request-id: {grant.request_id}\r\n"
    try:
        response = await upstream.post(route["url"], PATHS[asked.kind], headers, orjson.dumps(body))
        if response.status == 200:
            return response
        raise refusal(response.status, await response.read(), asked, route)
    except Broken as error:
        raise EngineUnavailable from error


@lru_cache(maxsize=1)
def _standing_headers() -> str:
    return f"authorization: Bearer {settings.ENGINE_API_KEY}\r\ncontent-type: application/json\r\n"


@lru_cache(maxsize=65536)
def _salt(tenant_id: UUID) -> str:
    """Return the tenant's secret prefix-cache salt: nobody can time another tenant's cached prompts."""
    return hmac.new(settings.CACHE_SALT_SECRET, tenant_id.bytes, hashlib.sha256).hexdigest()[:32]


def refusal(status: int, body: bytes, asked: Asked, route: Route) -> DomainError:
    """Return our error for vLLM's: its own may carry disk paths and internal names."""
    if status not in (400, 422):
        return EngineUnavailable(retry_s=2)
    try:
        error = json.loads(body)["error"]
        message, param = str(error["message"]), str(error.get("param") or "").removeprefix("body.") or None
    except (ValueError, KeyError, TypeError):
        return BadRequest("The model server refused the request.")
    if "maximum context length" in message or "max_model_len" in message:
        prompt = "messages" if asked.kind == "chat" else "prompt"
        return ContextTooLong(max_model_len=route["max_model_len"], param=prompt)
    clean = " ".join(message.replace(route["lora"], asked.model).split())[:500]
    if "/" in clean or "{" in clean:  # a path, or the inside of a parser
        clean = f"`{param}` is not valid." if param else "The model server refused the request."
    return BadRequest(clean, param=param)
