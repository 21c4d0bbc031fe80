"""The client of vLLM: writes checked requests, and reads its refusals and whole answers."""

import hashlib
import hmac
import json
import re
from functools import lru_cache

import orjson
from django.conf import settings

from inference.contract import watermark
from inference.contract.requests import TABLES, ParsedRequest
from inference.contract.route import Placement, Route
from inference.contract.usage import Usage, digest_text, text_of
from inference.errors import (
    AdapterAbsent,
    BadRequest,
    ContextTooLong,
    DomainError,
    EngineBroke,
    EngineDied,
    EngineRefusal,
    EngineRefuses,
    EngineUnavailable,
    GrammarFailed,
    GrammarTooExpensive,
    InvalidGrammar,
    NoWatermark,
    RefusedGrammar,
    RequestFailed,
    UnservableInput,
)
from inference.facts import JsonObject
from inference.proxy.suspects import SUSPECT_FOR_S
from inference.quota.admission import InFlight
from inference.wire.http_client import HttpClient, Response

# No word of the message with an engine's 400 goes out: it may name paths, classes, options and versions of
# the engine, and repeats what other programs wrote. It only tells which of our sentences applies.
TOO_LONG = re.compile(r"maximum (?:context|model) length|max_model_len|maximum input length")
# Fields that become a grammar, and words of parsers of grammars and of JSON. Of what the engine says itself,
# not of what it repeats: the request has to have such a field.
GRAMMAR_FIELDS = ("structured_outputs", "response_format", "tools", "tool_choice")
GRAMMAR_WORDS = re.compile(r"schema|grammar|regex|pattern|recursi|json|nested|tool|structur", re.IGNORECASE)
# Words of chat templates. Those of Llama, Mistral and Gemma raise them.
TEMPLATE_REFUSALS = (
    (
        re.compile(r"alternat", re.IGNORECASE),
        "`{messages}`: the base model's chat template requires alternating user and assistant roles.",
    ),
    (
        re.compile(r"system (?:role|message|prompt)", re.IGNORECASE),
        "`{messages}`: the base model's chat template doesn't allow a system message there.",
    ),
)
NAMED = re.compile(r"[`'\"]?\b([a-z_]+)\b[`'\"]?(?= (?:must|cannot|can't|should|contain|entries|is not)\b)")


def read_refusal(body: bytes, parsed: ParsedRequest, route: Route) -> DomainError:
    """Return our error for a refused request. `body` is the engine's answer, or the event of a stream."""
    message, param = _read_error(body)
    if TOO_LONG.search(message):
        return ContextTooLong(max_model_len=route.max_model_len, param=parsed.prompt_field)
    field = _find_field(param, message, parsed)
    grammar_field = next((name for name in GRAMMAR_FIELDS if name in parsed.fields), None)
    if field in GRAMMAR_FIELDS or (field is None and grammar_field and GRAMMAR_WORDS.search(message)):
        return RefusedGrammar(param=_public_name(field or grammar_field or "", parsed))
    for words, sentence in TEMPLATE_REFUSALS:
        if field in (None, "messages") and parsed.kind == "chat" and words.search(message):
            return BadRequest(sentence.format(messages=parsed.prompt_field), param=parsed.prompt_field)
    if field is None:
        return EngineRefusal()
    name = _public_name(field, parsed)
    says = TABLES[parsed.kind][field].says
    return BadRequest(f"The model server rejected `{name}`. Accepted: {says}.", param=name)


def _read_error(body: bytes) -> tuple[str, str]:
    """Return the message and the field of an error; "" for what it lacks."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"]), str(error.get("param") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""


def _find_field(param: str, message: str, parsed: ParsedRequest) -> str | None:
    """Return the field that an error is about; None unless it is one that the request has."""
    table = TABLES[parsed.kind]
    candidates: list[str] = [re.split(r"[.\[]", param.removeprefix("body."))[0], *NAMED.findall(message)]
    for name in candidates:
        if name in parsed.fields and name in table:
            return name
    return None


def _public_name(field: str, parsed: ParsedRequest) -> str:
    """Return a chat's field by its name in the client's dialect."""
    return parsed.names.get(field, field)


PATHS = {"chat": "/v1/chat/completions", "text": "/v1/completions"}
ABORT_PATH = "/inference/v1/abort_requests"  # with --enable-scale-out; another server answers 404
# vLLM answers some invalid requests with 500. These are words of its parsers of grammars and of JSON.
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
# longer than those of clients may be (engine/extensions/polyscribe_grammars.py).
STOPPED_BY_GRAMMAR = "polyscribe:"
# There, too, it says that a marked answer has too little of the mark: before the stop text, if there is one
# (engine/extensions/polyscribe_evidence.py).
FAINT = "polyscribe-faint:"
GRAMMAR_FAILURES: dict[str, type[GrammarFailed]] = {
    failure.code: failure for failure in (GrammarTooExpensive, InvalidGrammar)
}
# vLLM adds fields of its own (token ids, KV transfer, routed experts, …) that no client should see.
PUBLIC_FIELDS = ("id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint")
CHOICE_FIELDS = ("index", "message", "text", "logprobs", "finish_reason")
MESSAGE_FIELDS = ("role", "content", "refusal", "annotations", "audio", "function_call", "tool_calls")


async def send_request(
    upstream: HttpClient,
    parsed: ParsedRequest,
    request: InFlight,
    placement: Placement,
    *,
    rank: int,
    traceparent: str = "",
) -> Response:
    """Return vLLM's answer once it has begun. vLLM reads the waiting prompt of the lowest rank first.

    It notes in the request's usage whether the engine watermarks it.

    Raises BadRequest or ContextTooLong for what vLLM refuses, NoWatermark, RequestFailed when vLLM says that
    it failed at this request, or EngineUnavailable: EngineBroke when vLLM broke off while it had this
    request, AdapterAbsent when vLLM does not know the adapter.
    """
    grant = request.grant
    salt = _cache_salt(grant.caller.names.tenant)
    own_fields: JsonObject = {
        "model": placement.model,
        "max_tokens": grant.output_tokens,
        "stream": parsed.stream,
        "cache_salt": salt,
        # Ignored where vLLM's policy is first come, first served (decision 13).
        "priority": rank,
        # For our scheduler (decision 48); any other ignores them.
        "vllm_xargs": {"pool": salt, "weight": grant.weight},
        **request.route.sampling.missing_in(parsed.fields),
    }
    unmarked_reason = watermark.unmarked_reason(
        parsed.watermarking,
        parsed.unmarkable,
        output_tokens=grant.output_tokens,
        may_be_unmarked=grant.may_be_unmarked,
    )
    if unmarked_reason:
        own_fields["watermarking"] = False
        own_fields["vllm_xargs"]["watermarking"] = 0  # for our worker on a CPU, which doesn't see the field
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
    response = await upstream.post(placement.url, PATHS[parsed.kind], headers, body)
    if response.status == 200:
        word = request.usage.watermark = watermark.describe_mark(unmarked_reason, response.watermark_epoch)
        if not watermark.lacks_key(word) or settings.WATERMARK != "required":
            return response
        response.close()
        raise NoWatermark  # at another engine it would be generated once more, and perhaps in vain
    try:
        raise refusal(response.status, await response.read(), parsed, request.route)
    finally:
        response.close()


async def abort_request(
    upstream: HttpClient, parsed: ParsedRequest, request_id: str, placement: Placement
) -> bool:
    """Have vLLM end a request whose answer is not streamed: it answers with what it has, and its usage.

    Return whether vLLM can do so. Raises EngineUnavailable.
    """
    if parsed.kind == "chat":
        names = [f"chatcmpl-{request_id}"]
    else:
        names = [f"cmpl-{request_id}-{prompt}" for prompt in range(parsed.choices)]  # one at least for each
    body = orjson.dumps({"request_ids": names})
    response = await upstream.post(placement.url, ABORT_PATH, request_headers(), body)
    response.close()
    return response.status < 300


@lru_cache(maxsize=1)
def request_headers() -> str:
    """Return the header lines that every request to an engine has."""
    return f"authorization: Bearer {settings.ENGINE_API_KEY}\r\ncontent-type: application/json\r\n"


@lru_cache(maxsize=65536)
def _cache_salt(tenant: str) -> str:
    """Return the tenant's secret prefix-cache salt: nobody can time another tenant's cached prompts.

    The engine's fair turns know a tenant by it, too, and the engine learns no tenant's id.
    """
    return hmac.new(settings.CACHE_SALT_SECRET, tenant.encode(), hashlib.sha256).hexdigest()[:32]


def refusal(status: int, body: bytes, parsed: ParsedRequest, route: Route) -> DomainError:
    """Return our error for vLLM's, of whose words none goes out.

    A 5xx is marked as a complete answer: where the engine's health is good, it says nothing about the engine,
    else requests could speak for all of it (`diagnosis.py`).
    """
    is_complete = status >= 500
    if is_complete and ENGINE_DEATH.search(body):
        return EngineDied(minutes=SUSPECT_FOR_S // 60, is_complete=True)
    if status in ENGINE_STATUSES:
        return ENGINE_STATUSES[status](retry_s=2, is_complete=is_complete)
    if is_complete:
        is_known = BAD_INPUT.search(body)
        return UnservableInput(is_complete=True) if is_known else RequestFailed(is_complete=True)
    if status < 400:
        return EngineRefuses(retry_s=2)
    return read_refusal(body, parsed, route)


def check_grammar_held(stop_reason: object, usage: Usage) -> None:
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
            for choice in answer["choices"]:
                if choice.get("stop_reason"):
                    _take_faint(choice, self._usage)
                if choice.get("finish_reason") == "tool_calls":
                    _mark_cut_call(choice)
            self._usage.finish_reason = answer["choices"][0].get("finish_reason") or ""
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise RequestFailed from error
        reported = answer.get("usage") or {}
        usage = self._usage.describe(reported)
        choices = answer["choices"]
        for choice in choices:
            if choice.get("stop_reason"):
                check_grammar_held(choice["stop_reason"], self._usage)
        if len(choices) == 1:
            text = text_of(choices[0], "message")
            self._usage.text_sha256 = digest_text(text) if text else ""
        answer["model"] = self._route.name
        answer["system_fingerprint"] = _system_fingerprint(self._route.base_model, self._route.sha256)
        if not self._parsed.is_translated:
            answer["choices"] = [_public_choice(choice) for choice in choices]
            answer["usage"] = usage
        return orjson.dumps({name: answer[name] for name in PUBLIC_FIELDS if name in answer})


def _take_faint(choice: JsonObject, usage: Usage) -> None:
    """Note where the engine says that a choice has too little of the mark, and take its word out."""
    reason = choice.get("stop_reason")
    if isinstance(reason, str) and reason.startswith(FAINT):
        choice["stop_reason"] = reason.removeprefix(FAINT) or None
        usage.watermark = watermark.mark_faint(usage.watermark)


def _mark_cut_call(choice: JsonObject) -> None:
    """Say of a call that the limit cut that it is cut, as vLLM itself does in a stream.

    vLLM ends any whole answer with calls that the model chose by `tool_calls`.
    """
    calls = (choice.get("message") or {}).get("tool_calls")
    if calls and choice["finish_reason"] == "tool_calls" and choice.get("stop_reason") is None:
        try:
            orjson.loads(calls[-1]["function"]["arguments"])
        except orjson.JSONDecodeError:
            choice["finish_reason"] = "length"


def _public_choice(choice: JsonObject) -> JsonObject:
    public = {name: choice[name] for name in CHOICE_FIELDS if name in choice}
    if message := choice.get("message"):
        public["message"] = {name: message[name] for name in MESSAGE_FIELDS if name in message}
    return public
