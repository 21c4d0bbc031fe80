"""The data client: writes checked requests for vLLM, and reads its refusals and whole answers."""

import hashlib
import hmac
import json
import re
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from inference.contract.requests import ParsedRequest
from inference.contract.route import Place, Route
from inference.contract.usage import Usage
from inference.errors import (
    AdapterAbsent,
    BadRequest,
    ContextTooLong,
    DomainError,
    EngineBroke,
    EngineDied,
    EngineRefuses,
    EngineUnavailable,
    RequestFailed,
    UnservableInput,
)
from inference.proxy.suspects import SUSPECT_FOR_S
from inference.quota.admission import Grant
from inference.wire.http_client import HttpClient, Response

PATHS = {"chat": "/v1/chat/completions", "text": "/v1/completions"}
RAY_FRAME = re.compile(r"Message: (?P<own>.*?) \(Request ID: .*", re.DOTALL)  # around vLLM's own words
# What vLLM answers with 500 although it speaks of the request: xgrammar's and the JSON parser's words.
BAD_INPUT = re.compile(rb"schema|grammar|regex|recursi|json|nested|tool", re.IGNORECASE)
# Of an engine's core that has died, and of a replica to which Ray's proxy, which is well, gave the request.
# Whoever makes the engine say this of a request of theirs gets that one refused, and nobody else feels it.
DEATH = re.compile(rb"EngineDeadError|EngineCore encountered|ActorDiedError|actor died|actor is dead")
# Of a wrong key, an adapter that it does not know, a proxy that lost it, and where it takes nothing.
OF_THE_ENGINE: dict[int, type[EngineUnavailable]] = {
    401: EngineRefuses, 403: EngineRefuses, 404: AdapterAbsent, 429: EngineRefuses,
    502: EngineBroke, 503: EngineRefuses, 504: EngineBroke,
}  # fmt: skip
# vLLM adds fields of its own (token ids, KV transfer, routed experts, …) that are nobody's business.
PUBLIC_FIELDS = ("id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint")
CHOICE_FIELDS = ("index", "message", "text", "logprobs", "finish_reason")
MESSAGE_FIELDS = ("role", "content", "refusal", "annotations", "audio", "function_call", "tool_calls")
MAX_REPEATED_CHARACTERS = 200  # of what a client sent, in an error
# Names of classes, files and settings: they speak of the engine's inside.
INSIDE = re.compile(
    r"[/{}\\]|\b[A-Z]\w*[a-z]\w*[A-Z]\w*|__|--\w|(?i:vllm|xgrammar|pydantic|guidance|outlines)"
)


async def send_request(
    upstream: HttpClient, parsed: ParsedRequest, grant: Grant, place: Place, *, rank: int
) -> Response:
    """Return vLLM's answer once it has begun. Of prompts that wait it reads that of lowest rank first.

    Raises BadRequest with vLLM's reason, RequestFailed when it answered that it failed at this request, or
    EngineUnavailable: EngineBroke when it broke off with this request in its hands, AdapterAbsent when it
    does not know the adapter (any more).
    """
    body = parsed.fields | {
        "model": place.model, "max_tokens": grant.output_tokens, "stream": parsed.stream,
        "cache_salt": _salt(grant.caller.tenant_id), "priority": rank,
    }  # fmt: skip
    if "min_tokens" in body:  # the plan may have cut the answer below it
        body["min_tokens"] = min(body["min_tokens"], grant.output_tokens)
    if parsed.stream:
        # Every chunk carries the running usage, so that a hang-up is billed what was made.
        body["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    headers = f"{request_headers()}x-request-id: {grant.request_id}\r\n"
    response = await upstream.post(place.url, PATHS[parsed.kind], headers, orjson.dumps(body))
    if response.status == 200:
        return response
    try:
        raise refusal(response.status, await response.read(), parsed, grant.route, place)
    finally:
        response.close()


@lru_cache(maxsize=1)
def request_headers() -> str:
    """Return the header lines that every request to an engine has."""
    return f"authorization: Bearer {settings.ENGINE_API_KEY}\r\ncontent-type: application/json\r\n"


@lru_cache(maxsize=65536)
def _salt(tenant_id: UUID) -> str:
    """Return the tenant's secret prefix-cache salt: nobody can time another tenant's cached prompts."""
    return hmac.new(settings.CACHE_SALT_SECRET, tenant_id.bytes, hashlib.sha256).hexdigest()[:32]


def refusal(status: int, body: bytes, parsed: ParsedRequest, route: Route, place: Place) -> DomainError:
    """Return our error for vLLM's: its own may carry disk paths and internal names.

    A complete 5xx is a fault of the request that got it, else one request could speak for the whole engine;
    but 503, and what a proxy before the engine says, are of the engine.
    """
    if status >= 500 and DEATH.search(body):
        return EngineDied(minutes=SUSPECT_FOR_S // 60)
    if status >= 500 and status not in OF_THE_ENGINE:
        return UnservableInput() if BAD_INPUT.search(body) else RequestFailed()
    if status < 400 or status in OF_THE_ENGINE:
        return OF_THE_ENGINE.get(status, EngineRefuses)(retry_s=2)
    try:
        error = json.loads(body)["error"]
        message = RAY_FRAME.sub(r"\g<own>", str(error["message"]))
        param = str(error.get("param") or "").removeprefix("body.") or None
    except (ValueError, KeyError, TypeError):
        return BadRequest("The model server refused the request.")
    if "maximum context length" in message or "max_model_len" in message:
        return ContextTooLong(max_model_len=route.max_model_len, param=parsed.prompt_field)
    return BadRequest(_public_words(message.replace(place.model, parsed.model), param), param=param)


def _public_words(message: str, param: str | None) -> str:
    """Return vLLM's reason where it is one that a client can read, else only what it is about."""
    clean = " ".join(message.split())
    if len(clean) > MAX_REPEATED_CHARACTERS or INSIDE.search(clean):
        return f"`{param}` is not valid." if param else "The model server refused the request."
    return clean


def system_fingerprint(route: Route) -> str:
    """Return what an answer says of the weights that wrote it: the same weights have the same."""
    return _system_fingerprint(route.base_model, route.sha256)


@lru_cache(maxsize=4096)
def _system_fingerprint(base_model: str, sha256: str) -> str:
    return f"fp_{hashlib.sha256(f'{base_model} {sha256}'.encode()).hexdigest()[:12]}"


class WholeAnswer:
    """Turns the engine's JSON into the client's, at its end, and keeps the count in `usage`."""

    def __init__(self, parsed: ParsedRequest, route: Route, usage: Usage) -> None:
        self._asked, self._route, self._usage = parsed, route, usage
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """Keep these bytes; nothing goes to the client before all are there."""
        self._parts.append(data)
        return b""

    def end(self) -> bytes:
        """Return the answer. Raises RequestFailed when it is none: it was complete."""
        try:
            answer = orjson.loads(b"".join(self._parts))
            self._usage.finish_reason = answer["choices"][0].get("finish_reason") or ""
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise RequestFailed from error
        self._usage.take(answer.get("usage") or {})
        answer["model"], answer["system_fingerprint"] = self._route.name, system_fingerprint(self._route)
        if not self._asked.is_translated:
            answer["choices"] = [_in_openais_form(choice) for choice in answer["choices"]]
        return orjson.dumps({name: answer[name] for name in PUBLIC_FIELDS if name in answer})


def _in_openais_form(choice: dict[str, Any]) -> dict[str, Any]:
    public = {name: choice[name] for name in CHOICE_FIELDS if name in choice}
    if message := choice.get("message"):
        public["message"] = {name: message[name] for name in MESSAGE_FIELDS if name in message}
    return public
