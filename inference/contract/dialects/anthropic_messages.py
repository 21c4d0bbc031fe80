"""Anthropic's `POST /v1/messages` by translation: the request becomes a chat, the chat's answer a message.

vLLM has an endpoint of that form too, but reports no running usage there, so that a hang-up could not be
billed. The form: https://platform.claude.com/docs/en/api/messages, as Anthropic's Python client reads it.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import orjson

from inference.contract import fields, http_errors
from inference.contract.dialects.common import as_chat, event, objects, text_of, translated, word
from inference.contract.requests import ParsedRequest
from inference.contract.usage import Usage
from inference.errors import BadRequest, DomainError

PASSED = ("model", "max_tokens", "temperature", "top_p", "top_k", "stream")
NAMES = {
    "stop": "stop_sequences", "response_format": "output_config", "parallel_tool_calls": "tool_choice",
    "user": "metadata.user_id",
}  # fmt: skip
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# Anthropic's types by status, and by the type that OpenAI's form has, where only that is known.
TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
    404: "not_found_error", 405: "invalid_request_error", 409: "invalid_request_error",
    413: "request_too_large", 415: "invalid_request_error",
    429: "rate_limit_error", 503: "overloaded_error",
}  # fmt: skip
STREAMED_TYPES = {
    "invalid_request_error": "invalid_request_error", "permission_error": "permission_error",
    "service_unavailable_error": "overloaded_error", "requests": "rate_limit_error",
    "tokens": "rate_limit_error", "insufficient_quota": "rate_limit_error",
}  # fmt: skip
OVERLOADED = 529  # Anthropic's own status for what is a 503 elsewhere


def parse_messages(body: bytes) -> ParsedRequest:
    """Return the request as a checked chat. Raises BadRequest naming the field that is wrong."""
    parsed = as_chat(body, _chat, table=fields.MESSAGES, names=NAMES)
    if not parsed.output_tokens:
        raise BadRequest("You must say in `max_tokens` how long the answer may be.", param="max_tokens")
    return parsed


def parse_count_tokens(body: bytes) -> ParsedRequest:
    """Return a request whose prompt is only to be counted. Raises BadRequest."""
    return as_chat(body, _chat, table=fields.MESSAGES | fields.COUNT, names=NAMES)


def message_of_chat(answer: bytes, asked_body: bytes, request_id: str) -> bytes:
    """Return a chat's whole answer as a message; arguments of a tool that are no object become `{}`."""
    chat = orjson.loads(answer)
    choice = chat["choices"][0]
    text, calls = choice["message"].get("content"), choice["message"].get("tool_calls") or []
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    content += [
        _tool_use(call) | {"input": _object(call["function"].get("arguments") or "{}")} for call in calls
    ]
    ended = _ended(choice, has_called=bool(calls))
    usage = _usage(chat.get("usage") or {})
    return orjson.dumps(_message(chat, request_id) | {"content": content, "usage": usage} | ended)


def message_events(
    events: AsyncGenerator[bytes], asked_body: bytes, request_id: str
) -> AsyncGenerator[bytes]:
    """Yield a chat's event stream as a message's; its last events come only after the chat's `[DONE]`.

    `message_start` tells the prompt's tokens; how many of them a cache had, `message_delta` tells at the end.
    """
    return translated(events, _Telling(request_id))


def error(error: DomainError) -> tuple[int, bytes, http_errors.Headers]:
    """Return an error's status, body and headers in Anthropic's form."""
    status, _ = http_errors.status_and_type(error)
    failure = {"type": TYPES.get(status, "api_error"), "message": error.message}
    body = orjson.dumps({"type": "error", "error": failure})
    return OVERLOADED if status == 503 else status, body, http_errors.headers(error)


# The request.


def _chat(raw: dict[str, Any]) -> dict[str, Any]:
    turns = objects(raw.get("messages"), "messages")
    if turns and turns[-1].get("role") == "assistant":
        raise BadRequest(
            "The last of `messages` must be the user's: no answer is continued.", param="messages"
        )
    system = text_of(raw.get("system") or "", "system")
    messages = [{"role": "system", "content": system}] if system else []
    for index, turn in enumerate(turns):
        messages += _turn(turn, f"messages[{index}]")
    thinking = raw.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "enabled":
        raise BadRequest("`thinking` is not served: the base model does not think aloud.", param="thinking")
    metadata = raw.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    sent = {name: raw.get(name) for name in PASSED} | {"stop": raw.get("stop_sequences"), "user": user}
    return sent | {"messages": messages} | _tools(raw) | _format(raw)


def _turn(turn: dict[str, Any], place: str) -> list[dict[str, Any]]:
    """Return one turn as chat's messages: the tools' results first, each a message of its own."""
    role, content = turn.get("role"), turn.get("content")
    if role not in ("user", "assistant", "system"):
        raise BadRequest(f"`{place}.role` must be `user` or `assistant`.", param=f"{place}.role")
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    texts, calls, results = [], [], []
    for index, block in enumerate(objects(content, f"{place}.content")):
        spot, kind = f"{place}.content[{index}]", block.get("type")
        if kind == "text":
            texts.append(word(block, "text", spot))
        elif kind == "tool_use" and role == "assistant":
            calls.append(_call(block, spot))
        elif kind == "tool_result" and role == "user":
            results.append(_result(block, spot))
        elif kind not in ("thinking", "redacted_thinking"):
            raise BadRequest(f"`{spot}`: only text and tools are served; leave it out.", param=spot)
    said = {"role": role, "content": "\n".join(texts)}
    if calls:
        return [said | {"content": said["content"] or None, "tool_calls": calls}]
    return results if results and not texts else [*results, said]


def _call(block: dict[str, Any], place: str) -> dict[str, Any]:
    arguments = orjson.dumps(block.get("input") or {}).decode()
    function = {"name": word(block, "name", place), "arguments": arguments}
    return {"id": word(block, "id", place), "type": "function", "function": function}


def _result(block: dict[str, Any], place: str) -> dict[str, Any]:
    text = text_of(block.get("content") or "", f"{place}.content")
    return {"role": "tool", "tool_call_id": word(block, "tool_use_id", place), "content": text}


def _tools(raw: dict[str, Any]) -> dict[str, Any]:
    """Return chat's fields for the tools, and for how they are to be used."""
    tools, choice = objects(raw.get("tools") or [], "tools"), raw.get("tool_choice") or {"type": "auto"}
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in (*CHOICES, "tool") or (kind in ("any", "tool") and not tools):
        raise BadRequest(
            "`tool_choice` must be auto, none, or any or tool with `tools`.", param="tool_choice"
        )
    if not tools:
        return {}
    named = kind == "tool" and {"name": word(choice, "name", "tool_choice")}
    return {
        "tools": [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)],
        "tool_choice": {"type": "function", "function": named} if named else CHOICES[kind],
        "parallel_tool_calls": False if choice.get("disable_parallel_tool_use") else None,
    }


def _tool(tool: dict[str, Any], place: str) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        raise BadRequest(f"`{place}`: only tools that you run yourself are served.", param=place)
    sent = {"name": word(tool, "name", place), "parameters": tool.get("input_schema")}
    sent |= {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    return {"type": "function", "function": sent}


def _format(raw: dict[str, Any]) -> dict[str, Any]:
    """Return chat's field for an answer that must be JSON of a schema."""
    config = raw.get("output_config")
    wanted = config.get("format") if isinstance(config, dict) else None
    if not wanted:
        return {}
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        raise BadRequest("`output_config.format` must be of type json_schema.", param="output_config.format")
    schema = {"name": "answer", "schema": wanted.get("schema"), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


# The answer.


@dataclass(eq=False, slots=True)
class _Telling:
    """A message as far as the client was told: the block that is open, and how the chat ended."""

    request_id: str
    index: int = -1
    open: str | int = ""  # "text", or chat's number of a call
    has_begun: bool = False
    has_called: bool = False
    choice: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)

    def chunk(self, chunk: dict[str, Any]) -> bytes:
        told = b"" if self.has_begun else self._begin(chunk)
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices") or ():
            told += self._part(choice.get("delta") or {})
            if choice.get("finish_reason"):
                self.choice = choice
        return told

    def failed(self, error: dict[str, Any]) -> bytes:
        kind = STREAMED_TYPES.get(error.get("type") or "", "api_error")
        return event("error", error={"type": kind, "message": error.get("message") or ""})

    def done(self) -> bytes:
        ended = _ended(self.choice, has_called=self.has_called)
        told = self._close() + event("message_delta", delta=ended, usage=_usage(self.usage))
        return told + event("message_stop")

    def _begin(self, chunk: dict[str, Any]) -> bytes:
        self.has_begun = True
        nothing: dict[str, Any] = {
            "stop_reason": None,
            "stop_sequence": None,
            "content": [],
            "usage": _usage(chunk.get("usage") or {}) | {"output_tokens": 0},
        }
        return event("message_start", message=_message(chunk, self.request_id) | nothing)

    def _part(self, delta: dict[str, Any]) -> bytes:
        told = b""
        if text := delta.get("content"):
            told += self._open("text", {"type": "text", "text": ""})
            told += self._delta({"type": "text_delta", "text": text})
        for call in delta.get("tool_calls") or ():
            self.has_called = True
            told += self._open(call.get("index") or 0, _tool_use(call) | {"input": {}})
            if arguments := (call.get("function") or {}).get("arguments"):
                told += self._delta({"type": "input_json_delta", "partial_json": arguments})
        return told

    def _delta(self, delta: dict[str, str]) -> bytes:
        return event("content_block_delta", index=self.index, delta=delta)

    def _open(self, key: str | int, block: dict[str, Any]) -> bytes:
        if key == self.open:
            return b""
        closed = self._close()
        self.open, self.index = key, self.index + 1
        return closed + event("content_block_start", index=self.index, content_block=block)

    def _close(self) -> bytes:
        return b"" if self.index < 0 else event("content_block_stop", index=self.index)


def _message(chat: dict[str, Any], request_id: str) -> dict[str, Any]:
    message_id = f"msg_{request_id.removeprefix('req_')}"
    return {"id": message_id, "type": "message", "role": "assistant", "model": chat["model"]}


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.get("id"), "name": (call.get("function") or {}).get("name")}


def _object(arguments: str) -> dict[str, Any]:
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:  # the answer was cut short within them
        return {}
    return value if isinstance(value, dict) else {}


def _ended(choice: dict[str, Any], *, has_called: bool) -> dict[str, Any]:
    """Return why the answer ended. A stop sequence comes before a call, which it may have cut short."""
    sequence = choice.get("stop_reason")
    if choice.get("finish_reason") == "length":
        return {"stop_reason": "max_tokens", "stop_sequence": None}
    if isinstance(sequence, str):
        return {"stop_reason": "stop_sequence", "stop_sequence": sequence}
    return {"stop_reason": "tool_use" if has_called else "end_turn", "stop_sequence": None}


def _usage(counts: dict[str, Any]) -> dict[str, int]:
    """Return the counts that are billed; Anthropic's `input_tokens` are those that no cache had."""
    usage = Usage()
    usage.take(counts)
    return {
        "input_tokens": usage.prompt - usage.cached, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached, "output_tokens": usage.completion,
    }  # fmt: skip
