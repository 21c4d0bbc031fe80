"""The client of vLLM: writes checked requests, and reads its refusals and whole answers."""

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
    GrammarFailed,
    GrammarTooExpensive,
    InvalidGrammar,
    RequestFailed,
    UnservableInput,
)
from inference.proxy.suspects import SUSPECT_FOR_S
from inference.quota.admission import Grant
from inference.wire.http_client import HttpClient, Response

PATHS = {"chat": "/v1/chat/completions", "text": "/v1/completions"}
RAY_FRAME = re.compile(r"Message: (?P<own>.*?) \(Request ID: .*", re.DOTALL)  # around vLLM's own message
# vLLM answers some invalid requests with 500. These are words of xgrammar and of the JSON parser.
BAD_INPUT = re.compile(rb"schema|grammar|regex|recursi|json|nested|tool", re.IGNORECASE)
# What is said of an engine's core that has died, or of a dead replica by Ray's proxy, which is well. A client
# that makes the engine say this gets its own request refused, and nobody else feels it.
ENGINE_DEATH = re.compile(rb"EngineDeadError|EngineCore encountered|ActorDiedError|actor died|actor is dead")
# Statuses that speak of the engine, not of the request: a wrong key of ours (401, 403), an unknown adapter
# (404), an engine that takes nothing (429, 503), a proxy that lost the engine (502, 504).
ENGINE_STATUSES: dict[int, type[EngineUnavailable]] = {
    401: EngineRefuses,
    403: EngineRefuses,
    404: AdapterAbsent,
    429: EngineRefuses,
    502: EngineBroke,
    503: EngineRefuses,
    504: EngineBroke,
}
# How our extension of vLLM says why it ended an answer: in the place of the stop text that was found. It is
# longer than those of clients may be (engine/extensions/grammar_processes.py).
STOPPED_BY_GRAMMAR = "polyscribe:"
GRAMMAR_FAILURES: dict[str, type[GrammarFailed]] = {
    failure.code: failure for failure in (GrammarTooExpensive, InvalidGrammar)
}
# vLLM adds fields of its own (token ids, KV transfer, routed experts, …) that no client should see.
PUBLIC_FIELDS = ("id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint")
CHOICE_FIELDS = ("index", "message", "text", "logprobs", "finish_reason")
MESSAGE_FIELDS = ("role", "content", "refusal", "annotations", "audio", "function_call", "tool_calls")
MAX_MESSAGE_CHARACTERS = 200  # vLLM repeats what the client sent
# Names of classes, files and settings of the engine.
INTERNAL_NAMES = re.compile(
    r"[/{}\\]|\b[A-Z]\w*[a-z]\w*[A-Z]\w*|__|--\w|(?i:vllm|xgrammar|pydantic|guidance|outlines)"
)


async def send_request(
    upstream: HttpClient,
    parsed: ParsedRequest,
    grant: Grant,
    place: Place,
    *,
    rank: int,
    traceparent: str = "",
) -> Response:
    """Return vLLM's answer once it has begun. vLLM reads the waiting prompt of the lowest rank first.

    Raises BadRequest with vLLM's reason, RequestFailed when vLLM says that it failed at this request, or
    EngineUnavailable: EngineBroke when vLLM broke off while it had this request, AdapterAbsent when vLLM does
    not know the adapter (any more).
    """
    own_fields: dict[str, Any] = {
        "model": place.model,
        "max_tokens": grant.output_tokens,
        "stream": parsed.stream,
        "cache_salt": _cache_salt(grant.caller.names.tenant),
        # Ignored where vLLM's policy is first come, first served (decision 13).
        "priority": rank,
    }
    if "min_tokens" in parsed.fields:  # the plan's limit may be lower
        own_fields["min_tokens"] = min(parsed.fields["min_tokens"], grant.output_tokens)
    if parsed.stream:
        # Every chunk carries the running usage, so that a client that hangs up pays for what was generated.
        own_fields["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    # The client's fields are serialized already; each has a prompt or messages, so neither object is empty.
    body = parsed.serialize()[:-1] + b"," + orjson.dumps(own_fields)[1:]
    # A long answer would keep a second copy of a large body in memory.
    parsed.forget_serialized()
    headers = f"{request_headers()}x-request-id: {grant.request_id}\r\n"
    if traceparent:
        headers += f"traceparent: {traceparent}\r\n"
    response = await upstream.post(place.url, PATHS[parsed.kind], headers, body)
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
def _cache_salt(tenant: str) -> str:
    """Return the tenant's secret prefix-cache salt: nobody can time another tenant's cached prompts."""
    return hmac.new(settings.CACHE_SALT_SECRET, UUID(tenant).bytes, hashlib.sha256).hexdigest()[:32]


def refusal(status: int, body: bytes, parsed: ParsedRequest, route: Route, place: Place) -> DomainError:
    """Return our error for vLLM's: its own may carry disk paths and internal names.

    A complete 5xx counts as the fault of its request, else one request could speak for the whole engine. Only
    503, and what a proxy in front of the engine says, counts as the engine's fault.
    """
    if status >= 500 and ENGINE_DEATH.search(body):
        return EngineDied(minutes=SUSPECT_FOR_S // 60)
    if status in ENGINE_STATUSES:
        return ENGINE_STATUSES[status](retry_s=2)
    if status >= 500:
        return UnservableInput() if BAD_INPUT.search(body) else RequestFailed()
    if status < 400:
        return EngineRefuses(retry_s=2)
    return _bad_request(body, parsed, route, place)


def _bad_request(body: bytes, parsed: ParsedRequest, route: Route, place: Place) -> DomainError:
    try:
        error = json.loads(body)["error"]
        message = RAY_FRAME.sub(r"\g<own>", str(error["message"]))
        param = str(error.get("param") or "").removeprefix("body.") or None
    except (ValueError, KeyError, TypeError):
        return BadRequest("The model server refused the request.")
    if "maximum context length" in message or "max_model_len" in message:
        return ContextTooLong(max_model_len=route.max_model_len, param=parsed.prompt_field)
    public_message = _public_message(message.replace(place.model, parsed.model), param)
    return BadRequest(public_message, param=param)


def _public_message(message: str, param: str | None) -> str:
    """Return vLLM's reason where a client can read it, else only which field it is about."""
    one_line = " ".join(message.split())
    if len(one_line) <= MAX_MESSAGE_CHARACTERS and not INTERNAL_NAMES.search(one_line):
        return one_line
    return f"`{param}` is not valid." if param else "The model server refused the request."


def check_grammar_held(stop_reason: Any, usage: Usage) -> None:
    """Raise GrammarFailed where the engine ended an answer whose form it could not follow."""
    if isinstance(stop_reason, str) and stop_reason.startswith(STOPPED_BY_GRAMMAR):
        code = stop_reason.removeprefix(STOPPED_BY_GRAMMAR).rstrip(".")
        usage.finish_reason = code
        raise GRAMMAR_FAILURES.get(code, InvalidGrammar)


def system_fingerprint(route: Route) -> str:
    """Return the `system_fingerprint` of a route: the same weights have the same one."""
    return _system_fingerprint(route.base_model, route.sha256)


@lru_cache(maxsize=4096)
def _system_fingerprint(base_model: str, sha256: str) -> str:
    digest = hashlib.sha256(f"{base_model} {sha256}".encode()).hexdigest()
    return f"fp_{digest[:12]}"


class UnaryAnswer:
    """Turns the engine's JSON into the client's once all of it is there, and keeps the count in `usage`."""

    def __init__(self, parsed: ParsedRequest, route: Route, usage: Usage) -> None:
        self._parsed = parsed
        self._route = route
        self._usage = usage
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """Keep these bytes. Nothing goes to the client before all are there."""
        self._parts.append(data)
        return b""

    def end(self) -> bytes:
        """Return the answer.

        Raises RequestFailed when the body, which was complete, is no answer, and GrammarFailed.
        """
        try:
            answer = orjson.loads(b"".join(self._parts))
            self._usage.finish_reason = answer["choices"][0].get("finish_reason") or ""
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise RequestFailed from error
        self._usage.read_reported(answer.get("usage") or {})
        for choice in answer["choices"]:
            check_grammar_held(choice.get("stop_reason"), self._usage)
        answer["model"] = self._route.name
        answer["system_fingerprint"] = system_fingerprint(self._route)
        if not self._parsed.is_translated:
            answer["choices"] = [_public_choice(choice) for choice in answer["choices"]]
        return orjson.dumps({name: answer[name] for name in PUBLIC_FIELDS if name in answer})


def _public_choice(choice: dict[str, Any]) -> dict[str, Any]:
    public = {name: choice[name] for name in CHOICE_FIELDS if name in choice}
    if message := choice.get("message"):
        public["message"] = {name: message[name] for name in MESSAGE_FIELDS if name in message}
    return public
