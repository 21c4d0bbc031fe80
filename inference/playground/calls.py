"""A chat call of a page: the API's own admission, proxy and settlement, on the open workspace's own key."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import orjson
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from accounts.workspaces import NoTenant, playground_key
from core.errors import DomainError
from core.http import new_request_id
from inference import telemetry
from inference.api.exchange import STREAM_HEADERS
from inference.api.refusal_counts import count_refusal
from inference.contract import http_errors
from inference.contract.requests import Kind, parse_request
from inference.contract.tokenizer import encode_answer
from inference.errors import BadRequest, TooLarge
from inference.facts import Stream
from inference.proxy.request import relay_request
from inference.proxy.runtime import Gateway
from inference.quota.admission import Caller
from tenants.current import current_membership
from tenants.roles import Permission, require_role

# A text goes on where it stopped: the engine reads its prompt and the text so far, so nothing repeats.

CONTINUES = "continues"  # of a page's call: its last message is to be continued
LEAST_TOKENS = 16  # also of a text that the model believes to be finished
ASK = "Continue the text exactly where it stopped. Don't repeat any of it."


def read_continuation(body: bytes) -> tuple[Kind, bytes]:
    """Return a page's call as the API takes it, and of which kind it is then.

    One that continues becomes a completion of the chat's prompt with the text so far. Where the base model's
    files aren't on this machine, the model is asked to go on.
    """
    call = json.loads(body)
    if not call.pop(CONTINUES, False):
        return "chat", json.dumps(call).encode()
    messages = call.pop("messages", None)
    prompt = encode_answer(messages) if _is_conversation(messages) else None
    if prompt is None:
        said = messages if isinstance(messages, list) else []
        return "chat", json.dumps(call | {"messages": [*said, {"role": "user", "content": ASK}]}).encode()
    most = call.get("max_tokens")
    least = min(LEAST_TOKENS, most) if isinstance(most, int) else LEAST_TOKENS
    return "text", json.dumps(call | {"prompt": prompt, "min_tokens": least}).encode()


def _is_conversation(messages: Any) -> bool:
    """Return whether these are messages of texts alone, the last one an answer."""
    if not isinstance(messages, list) or len(messages) < 2:
        return False
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            return False
        if message.get("role") not in ("system", "user", "assistant"):
            return False
    return bool(messages[-1]["role"] == "assistant")


MAX_CALL_BYTES = 256 * 1024  # a long conversation; the context of the model is shorter
HIDDEN_NAME = "hidden"
TELLING = ("model", "id", "system_fingerprint")  # of a chunk: what may say who writes
DATA = b"data: {"
ERROR = b'data: {"error"'
SERVER_ERROR = 500


class Call(NamedTuple):
    """One call from a page. With a `secret_model`, nothing in the answer says which model wrote it."""

    caller: Caller
    body: bytes
    secret_model: str = ""
    kind: Kind = "chat"


async def answer_call(request: HttpRequest, prepare: Callable[[HttpRequest], Call]) -> HttpResponseBase:
    """Stream one answer as server-sent events; an error before its first bytes is JSON in OpenAI's form.

    `prepare` may ask the database.
    """
    request_id = new_request_id()
    try:
        call = await sync_to_async(prepare)(request)
    except DomainError as error:
        return _answer_error(error, request_id)
    gateway: Gateway = request.scope["state"]["gateway"]  # type: ignore[attr-defined]
    model = ""
    try:
        gateway.refusals.check(call.caller.names.refusals)
        parsed = parse_request(call.kind, call.body)
        model = parsed.model
        answer = await relay_request(gateway, call.caller, parsed, request_id)
    except DomainError as error:
        size = len(call.body)
        count_refusal(gateway, call.caller, error, request_id=request_id, model=model, body_bytes=size)
        return _answer_error(error, request_id, secret_model=call.secret_model)
    assert answer.stream is not None
    if call.secret_model:
        hidden = hide_model(answer.stream, call.secret_model)
        return StreamingHttpResponse(hidden, headers=_decode_headers(STREAM_HEADERS))
    stream_headers = _decode_headers(STREAM_HEADERS + answer.headers)
    return StreamingHttpResponse(answer.stream, headers=stream_headers | {"x-request-id": request_id})


def _answer_error(error: DomainError, request_id: str, *, secret_model: str = "") -> HttpResponse:
    """Return an error in OpenAI's form."""
    status, body, headers = http_errors.error(error)
    if status >= SERVER_ERROR:
        telemetry.answered_5xx(request=request_id, status=status, code=error.code)
    if secret_model:
        body = body.replace(secret_model.encode(), HIDDEN_NAME.encode())
    all_headers = _decode_headers(headers) | {"x-request-id": request_id}
    return HttpResponse(body, "application/json", status, headers=all_headers)


def open_caller(request: HttpRequest) -> Caller:
    """Return the open workspace's own key as the caller. Raises NoTenant and RoleNotAllowed."""
    membership = current_membership(request)
    if membership is None:
        raise NoTenant
    tenant = membership.tenant
    require_role(tenant, membership.role, Permission.WRITE_TEXT)
    return Caller(tenant.pk, playground_key(tenant).pk)


def read_call(request: HttpRequest, **fixed: object) -> bytes:
    """Return a chat call as the gateway's contract reads it: streamed, with its usage, and what is `fixed`.

    Raises TooLarge, and BadRequest for what is no JSON object; the contract checks the rest.
    """
    if len(request.body) > MAX_CALL_BYTES:
        raise TooLarge(limit_bytes=MAX_CALL_BYTES)
    try:
        call = json.loads(request.body)
    except (ValueError, RecursionError):
        call = None
    if not isinstance(call, dict):
        raise BadRequest
    return json.dumps(call | {"stream": True, "stream_options": {"include_usage": True}} | fixed).encode()


async def hide_model(stream: Stream, secret_model: str) -> AsyncIterator[bytes]:
    """Yield a stream's events without what says which model wrote them, errors included."""
    rest = b""
    try:
        async for part in stream:
            *lines, rest = (rest + part).split(b"\n")
            if lines:
                yield b"".join(_hide_names(line, secret_model) + b"\n" for line in lines)
    finally:
        await stream.aclose()


def _hide_names(line: bytes, secret_model: str) -> bytes:
    if not line.startswith(DATA):
        return line
    if line.startswith(ERROR):
        return line.replace(secret_model.encode(), HIDDEN_NAME.encode())
    chunk = orjson.loads(line.removeprefix(b"data: "))
    return b"data: " + orjson.dumps(chunk | {name: HIDDEN_NAME for name in TELLING if name in chunk})


def _decode_headers(headers: http_errors.Headers) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}
