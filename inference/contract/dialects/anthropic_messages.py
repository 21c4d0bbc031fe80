"""Anthropic's `POST /v1/messages`: a request becomes a chat, and the chat's answer a message.

vLLM has an endpoint of that form, too, but it reports no running usage there, so an aborted stream could not
be billed. The form: https://platform.claude.com/docs/en/api/messages, as Anthropic's Python client reads it.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import orjson

from inference.contract import fields, http_errors
from inference.contract.dialects.common import (
    format_event,
    join_texts,
    parse_as_chat,
    read_choices,
    read_objects,
    read_text,
    translate_stream,
)
from inference.contract.field_checks import CLEARS_TOOL_USES, check_bool
from inference.contract.field_reader import Table, name_set, refuse_unknown_keys, require
from inference.contract.messages import parse_arguments, parse_begun
from inference.contract.requests import ParsedRequest, read_json
from inference.contract.usage import Usage
from inference.errors import BadRequest, DomainError
from inference.facts import JsonObject, Stream

# Anthropic's types of errors within a stream, by OpenAI's.
STREAM_ERROR_TYPES = {
    "invalid_request_error": "invalid_request_error",
    "permission_error": "permission_error",
    "service_unavailable_error": "overloaded_error",
    "requests": "rate_limit_error",
    "tokens": "rate_limit_error",
    "insufficient_quota": "rate_limit_error",
}


@dataclass(eq=False, slots=True)
class MessageStream:
    """A message as far as the client has it: the block that is open, and how the chat ended."""

    request_id: str
    index: int = -1
    open_key: str | int = ""  # "text", or chat's index of a tool call
    has_begun: bool = False
    has_called: bool = False
    last_choice: JsonObject = field(default_factory=dict)
    usage: JsonObject = field(default_factory=dict)
    watermark: str = ""

    def translate_chunk(self, chunk: JsonObject) -> bytes:
        """Return the events of the next part of the answer."""
        events = b"" if self.has_begun else self._begin_message(chunk)
        self.usage = chunk.get("usage") or self.usage
        self.watermark = chunk.get("watermark") or self.watermark
        for choice, delta in read_choices(chunk):
            events += self._translate_delta(delta)
            if choice.get("finish_reason"):
                self.last_choice = choice
        return events

    def translate_error(self, error: JsonObject) -> bytes:
        """Return the event of an error that ends the stream."""
        kind = STREAM_ERROR_TYPES.get(error.get("type") or "", "api_error")
        return format_event("error", error={"type": kind, "message": error.get("message") or ""})

    def finish(self) -> bytes:
        """Return the last events."""
        end = describe_end(self.last_choice, has_called=self.has_called)
        events = self._close_block()
        mark = {"watermark": self.watermark} if self.watermark else {}
        events += format_event("message_delta", delta=end, usage=count_usage(self.usage), **mark)
        return events + format_event("message_stop")

    def _begin_message(self, chunk: JsonObject) -> bytes:
        self.has_begun = True
        message = describe_message(chunk, self.request_id) | {
            "stop_reason": None,
            "stop_sequence": None,
            "content": [],
            "usage": count_usage(chunk.get("usage") or {}) | {"output_tokens": 0},
        }
        return format_event("message_start", message=message)

    def _translate_delta(self, delta: JsonObject) -> bytes:
        events = b""
        text = delta.get("content")
        if text:
            events += self._open_block("text", {"type": "text", "text": ""})
            events += self._format_delta({"type": "text_delta", "text": text})
        for call in delta.get("tool_calls") or ():
            self.has_called = True
            events += self._open_block(call.get("index") or 0, describe_tool_use(call) | {"input": {}})
            arguments = (call.get("function") or {}).get("arguments")
            if arguments:
                events += self._format_delta({"type": "input_json_delta", "partial_json": arguments})
        return events

    def _format_delta(self, delta: dict[str, str]) -> bytes:
        return format_event("content_block_delta", index=self.index, delta=delta)

    def _open_block(self, key: str | int, block: JsonObject) -> bytes:
        if key == self.open_key:
            return b""
        events = self._close_block()
        self.open_key = key
        self.index += 1
        return events + format_event("content_block_start", index=self.index, content_block=block)

    def _close_block(self) -> bytes:
        return b"" if self.index < 0 else format_event("content_block_stop", index=self.index)


def describe_message(chat: JsonObject, request_id: str) -> JsonObject:
    """Return what a message says of itself."""
    message_id = f"msg_{request_id.removeprefix('req_')}"
    return {"id": message_id, "type": "message", "role": "assistant", "model": chat["model"]}


def describe_tool_use(call: JsonObject) -> JsonObject:
    """Return the block of a tool call, without its `input`."""
    return {"type": "tool_use", "id": call.get("id"), "name": (call.get("function") or {}).get("name")}


def describe_end(choice: JsonObject, *, has_called: bool) -> JsonObject:
    """Return why the answer ended. A stop sequence wins over a tool call, which it may have cut short."""
    sequence = choice.get("stop_reason")
    if choice.get("finish_reason") == "length":
        return {"stop_reason": "max_tokens", "stop_sequence": None}
    if isinstance(sequence, str):
        return {"stop_reason": "stop_sequence", "stop_sequence": sequence}
    return {"stop_reason": "tool_use" if has_called else "end_turn", "stop_sequence": None}


def count_usage(counts: JsonObject) -> dict[str, int]:
    """Return the counts that are billed. `input_tokens` are those that no cache had, nor has from now on."""
    usage = Usage()
    usage.read_reported(counts)
    return {
        "input_tokens": usage.prompt - usage.cached - usage.cache_written,
        "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.completion,
    }


SHARED_FIELDS = ("model", "max_tokens", "temperature", "top_p", "top_k", "stream", "watermarking")
# Anthropic's names by those of a chat.
FIELD_NAMES = {
    "stop": "stop_sequences",
    "response_format": "output_config",
    "parallel_tool_calls": "tool_choice",
    "user": "metadata.user_id",
}
ROLES = ("user", "assistant", "system")
# Beside its role and content, clients send back what an earlier answer said of itself. No prompt has that.
MESSAGE_KEYS = name_set("role content id type model stop_reason stop_sequence stop_details usage")
# Of a block, by its type. `cache_control` and `caller` are hints, and `citations` are those of an answer.
BLOCK_KEYS = {
    "text": {"type", "text", "cache_control", "citations"},
    "tool_use": {"type", "id", "name", "input", "cache_control", "caller"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
}
# Of a tool. The last two are hints; others would change what the model reads.
TOOL_KEYS = name_set("type name description input_schema strict cache_control eager_input_streaming")
OUTPUT_KEYS = {"format", "effort"}  # the base model does not reason: its effort is always the same
TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "invalid_request_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
CLEARS_FROM_TOKENS = 100_000  # Anthropic's own default
OVERLOADED = 529  # Anthropic's own status instead of 503


def parse_messages(body: bytes) -> ParsedRequest:
    """Return the request as a checked chat. Raises BadRequest naming the field that is wrong."""
    parsed = _parse(body, fields.MESSAGES)
    if not parsed.output_tokens:
        raise BadRequest(
            "You must provide `max_tokens`, the maximum length of the answer.", param="max_tokens"
        )
    return parsed


def parse_count_tokens(body: bytes) -> ParsedRequest:
    """Return a request whose prompt is only to be counted. Raises BadRequest."""
    return _parse(body, fields.MESSAGES | fields.COUNT)


def _parse(body: bytes, table: Table) -> ParsedRequest:
    parsed = parse_as_chat(body, _translate_request, table=table, names=FIELD_NAMES)
    if CLEARS_TOOL_USES.encode() in body:
        raw = read_json(body)
        if raw.get("context_management"):
            _refuse_clearing(raw["context_management"], parsed)
    return parsed


def _refuse_clearing(management: JsonObject | list[JsonObject], parsed: ParsedRequest) -> None:
    """Raise BadRequest where an edit could clear tool uses from a prompt of this length.

    https://platform.claude.com/docs/en/build-with-claude/context-editing
    """
    edits = management.get("edits") if isinstance(management, dict) else management
    for edit in edits or ():
        if not edit["type"].startswith(CLEARS_TOOL_USES):
            continue
        trigger = edit.get("trigger") or {"type": "input_tokens", "value": CLEARS_FROM_TOKENS}
        place = "context_management.edits"
        is_trigger = isinstance(trigger, dict) and isinstance(trigger.get("value"), int)
        require(is_trigger, place, "must have a `trigger` with `type` and `value`")
        if trigger.get("type") == "tool_uses":
            reached = sum(len(message.get("tool_calls", ())) for message in parsed.fields["messages"])
        else:
            reached = parsed.prompt_bound()
        require(
            reached <= trigger["value"],
            place,
            "could clear tool uses from a prompt of this length, and prompts are never changed here. Leave "
            "out what the model needn't read, or raise `trigger`",
        )


def translate_answer(answer: bytes, request_body: bytes, request_id: str) -> bytes:
    """Return a chat's whole answer as a message. Invalid arguments of a tool call become `{}`.

    Of a call that the limit cut, `input` has what is complete, as Anthropic's client reads it of a stream.
    """
    chat = orjson.loads(answer)
    choice = chat["choices"][0]
    text = choice["message"].get("content")
    calls = choice["message"].get("tool_calls") or []
    content: list[JsonObject] = [{"type": "text", "text": text}] if text else []
    for call in calls:
        arguments = call["function"].get("arguments") or "{}"
        is_cut = call is calls[-1] and choice.get("finish_reason") == "length"
        read = parse_begun(arguments) if is_cut else parse_arguments(arguments)
        content.append(describe_tool_use(call) | {"input": read if isinstance(read, dict) else {}})
    message = describe_message(chat, request_id)
    usage = count_usage(chat.get("usage") or {})
    end = describe_end(choice, has_called=bool(calls))
    return orjson.dumps(message | {"content": content, "usage": usage} | end)


def translate_events(events: Stream, request_body: bytes, request_id: str) -> AsyncGenerator[bytes]:
    """Yield a chat's event stream as a message's; its last events come only after the chat's `[DONE]`.

    `message_start` has the prompt's tokens; `message_delta`, at the end, says how many of them a cache had.
    """
    return translate_stream(events, MessageStream(request_id))


def error(error: DomainError) -> tuple[int, bytes, http_errors.Headers]:
    """Return an error's status, body and headers in Anthropic's form."""
    status, _ = http_errors.status_and_type(error)
    failure: JsonObject = {"type": ERROR_TYPES.get(status, "api_error"), "message": error.message}
    if http_errors.param_of(error) == "thread":  # so Anthropic's tool runner goes on without threads
        failure["details"] = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    body = orjson.dumps({"type": "error", "error": failure})
    return OVERLOADED if status == 503 else status, body, http_errors.headers(error)


def _translate_request(raw: JsonObject) -> JsonObject:
    """Return the fields of a chat; None for those that are not set."""
    chat = {name: raw.get(name) for name in SHARED_FIELDS}
    chat["messages"] = _translate_messages(raw)
    chat["stop"] = raw.get("stop_sequences")
    chat["user"] = raw.get("metadata", {}).get("user_id")
    return chat | _translate_tools(raw) | _translate_format(raw)


def _translate_messages(raw: JsonObject) -> list[JsonObject]:
    sent = read_objects(raw.get("messages"), "messages")
    if sent and sent[-1].get("role") == "assistant":
        raise BadRequest(
            "The last of `messages` must have the role `user`. Prefilling an answer is not supported.",
            param="messages",
        )
    system = join_texts(raw.get("system") or "", "system")
    messages = [{"role": "system", "content": system}] if system else []
    for index, message in enumerate(sent):
        messages += _translate_message(message, f"messages[{index}]")
    return messages


def _translate_message(message: JsonObject, place: str) -> list[JsonObject]:
    """Return one message as chat's messages: first the tool results, each as a message of its own."""
    role = message.get("role")
    content = message.get("content")
    if role not in ROLES:
        raise BadRequest(f"`{place}.role` must be `user` or `assistant`.", param=f"{place}.role")
    refuse_unknown_keys(message, MESSAGE_KEYS, place)
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    texts = []
    calls = []
    results = []
    for index, block in enumerate(read_objects(content, f"{place}.content")):
        block_place = f"{place}.content[{index}]"
        kind = block.get("type")
        if kind == "text":
            texts.append(read_text(block, "text", block_place))
        elif kind == "tool_use" and role == "assistant":
            calls.append(_translate_call(block, block_place))
        elif kind == "tool_result" and role == "user":
            results.append(_translate_result(block, block_place))
        elif kind not in ("thinking", "redacted_thinking"):
            raise BadRequest(
                f"`{block_place}`: only text and tools are supported. Remove it.", param=block_place
            )
        if kind in BLOCK_KEYS:
            refuse_unknown_keys(block, BLOCK_KEYS[kind], block_place)
    if calls:
        return [{"role": role, "content": "\n".join(texts) or None, "tool_calls": calls}]
    if results and not texts:
        return results
    return [*results, {"role": role, "content": "\n".join(texts)}]


def _translate_call(block: JsonObject, place: str) -> JsonObject:
    arguments = orjson.dumps(block.get("input") or {}).decode()
    function = {"name": read_text(block, "name", place), "arguments": arguments}
    return {"id": read_text(block, "id", place), "type": "function", "function": function}


def _translate_result(block: JsonObject, place: str) -> JsonObject:
    text = join_texts(block.get("content") or "", f"{place}.content")
    has_failed = block.get("is_error") or False
    check_bool(f"{place}.is_error", has_failed)
    if has_failed:  # a chat has no field for it, so the model reads it in the text
        text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": read_text(block, "tool_use_id", place), "content": text}


def _translate_tools(raw: JsonObject) -> JsonObject:
    """Return chat's fields for the tools and their choice."""
    tools = read_objects(raw.get("tools") or [], "tools")
    choice = raw.get("tool_choice") or {"type": "auto"}
    kind = choice.get("type") if isinstance(choice, dict) else None
    is_possible = bool(tools) if kind in ("any", "tool") else kind in ("auto", "none")
    require(is_possible, "tool_choice", "must be auto, none, or any or tool with `tools`")
    if not tools:
        return {}
    refuse_unknown_keys(choice, {"type", "name", "disable_parallel_tool_use"}, "tool_choice")
    is_single = choice.get("disable_parallel_tool_use") or False
    check_bool("tool_choice.disable_parallel_tool_use", is_single)
    return {
        "tools": [_translate_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)],
        "tool_choice": _translate_choice(choice),
        "parallel_tool_calls": False if is_single else None,
    }


def _translate_choice(choice: JsonObject) -> object:
    if choice["type"] != "tool":
        return TOOL_CHOICES[choice["type"]]
    return {"type": "function", "function": {"name": read_text(choice, "name", "tool_choice")}}


def _translate_tool(tool: JsonObject, place: str) -> JsonObject:
    if tool.get("type") not in (None, "custom"):
        raise BadRequest(f"`{place}`: only client tools, which you run yourself, are supported.", param=place)
    refuse_unknown_keys(tool, TOOL_KEYS, place)
    function = {"name": read_text(tool, "name", place), "parameters": tool.get("input_schema")}
    for name in ("description", "strict"):
        if tool.get(name) is not None:
            function[name] = tool[name]
    return {"type": "function", "function": function}


def _translate_format(raw: JsonObject) -> JsonObject:
    """Return chat's field for an answer that must be JSON of a schema."""
    config = raw.get("output_config", {})
    refuse_unknown_keys(config, OUTPUT_KEYS, "output_config")
    output_format = config.get("format")
    if not output_format:
        return {}
    if not isinstance(output_format, dict) or output_format.get("type") != "json_schema":
        raise BadRequest("`output_config.format` must be of type json_schema.", param="output_config.format")
    refuse_unknown_keys(output_format, {"type", "schema"}, "output_config.format")
    json_schema = {"name": "answer", "schema": output_format.get("schema"), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": json_schema}}
