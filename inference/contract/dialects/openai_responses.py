"""OpenAI's `POST /v1/responses`: a request becomes a chat, and the chat's answer a response.

What is stored of earlier requests is part of the input by then (inference/api/turns.py). The form:
https://platform.openai.com/docs/api-reference/responses, as OpenAI's Python client reads it.
"""

from collections.abc import AsyncGenerator
from typing import Any

import orjson

from inference.contract import fields
from inference.contract.dialects.common import (
    join_texts,
    parse_as_chat,
    read_objects,
    read_text,
    translate_stream,
)
from inference.contract.dialects.openai_response_stream import ResponseStream
from inference.contract.field_checks import JSON_SCHEMA_KEYS
from inference.contract.field_reader import name_set, refuse_unknown_keys, require, split_names
from inference.contract.messages import ALLOWED_TOOLS
from inference.contract.requests import ParsedRequest
from inference.errors import BadRequest
from inference.facts import JsonObject, Stream

SHARED_FIELDS = split_names(
    """
    model temperature top_p top_k min_p presence_penalty frequency_penalty repetition_penalty seed
    stop parallel_tool_calls stream stream_options user ignore_eos watermarking
    """
)
# The names of responses by those of a chat.
FIELD_NAMES = {"messages": "input", "max_tokens": "max_output_tokens", "response_format": "text.format"}
LOGPROBS = "message.output_text.logprobs"
TEXT_TYPES = ("input_text", "output_text", "text", "refusal")
FORMAT_TYPES = ("text", "json_object", "json_schema")
# Of an item of the input, by its type. What no prompt has comes back with an earlier answer.
ITEM_KEYS = {
    "message": name_set("type role content id status phase"),
    "function_call": name_set("type call_id name arguments parsed_arguments id status caller created_by"),
    "function_call_output": name_set("type call_id output id name status caller created_by"),
}
TOOL_KEYS = {"type", "name", "description", "parameters", "strict"}
ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


def parse_response_request(body: bytes) -> ParsedRequest:
    """Return the request as a checked chat. Raises BadRequest naming the field that is wrong."""
    return parse_as_chat(body, _translate_request, table=fields.RESPONSES, names=FIELD_NAMES)


def parse_input_tokens(body: bytes) -> ParsedRequest:
    """Return a request whose prompt is only to be counted. Raises BadRequest."""
    return parse_as_chat(body, _translate_request, table=fields.INPUT_TOKENS, names=FIELD_NAMES)


def translate_answer(answer: bytes, request_body: bytes, request_id: str) -> bytes:
    """Return a chat's whole answer as a response."""
    return orjson.dumps(build_response(answer, ResponseStream(request_id, orjson.loads(request_body))))


def build_response(answer: bytes, stream: ResponseStream) -> JsonObject:
    """Return a chat's whole answer as a response: that of a stream of one chunk."""
    chat = orjson.loads(answer)
    choice = chat["choices"][0]
    message = choice["message"]
    calls = []
    for index, call in enumerate(message.get("tool_calls") or ()):
        calls.append(call | {"index": index})
    delta = {"content": message.get("content"), "tool_calls": calls}
    stream.translate_chunk(chat | {"choices": [choice | {"delta": delta}], "usage": chat.get("usage") or {}})
    stream.finish()
    return stream.response()


def translate_events(events: Stream, request_body: bytes, request_id: str) -> AsyncGenerator[bytes]:
    """Yield a chat's event stream as a response's; its last event comes only after the chat's `[DONE]`."""
    return translate_stream(events, ResponseStream(request_id, orjson.loads(request_body)))


def _translate_request(raw: JsonObject) -> JsonObject:
    """Return the fields of a chat; None for those that are not set."""
    truncation = raw.get("truncation")
    require(truncation in (None, "disabled", "auto"), "truncation", "must be `disabled` or `auto`")
    if LOGPROBS in raw.get("include", ()):
        raise BadRequest("`include`: use /v1/chat/completions to get log probabilities.", param="include")
    chat = {name: raw.get(name) for name in SHARED_FIELDS}
    chat["messages"] = _translate_messages(raw)
    chat["max_tokens"] = raw.get("max_output_tokens")
    return chat | _translate_tools(raw) | _translate_format(raw)


def _translate_messages(raw: JsonObject) -> list[JsonObject]:
    messages = []
    if raw.get("instructions"):
        messages.append({"role": "system", "content": read_text(raw, "instructions")})
    return messages + translate_input(raw.get("input"))


def translate_input(sent: object) -> list[JsonObject]:
    """Return the input as chat's messages. A function call joins the assistant's message before it.

    Raises BadRequest naming the item that is wrong.
    """
    if isinstance(sent, str):
        return [{"role": "user", "content": sent}]
    messages: list[JsonObject] = []
    for index, item in enumerate(read_objects(sent, "input")):
        place = f"input[{index}]"
        kind = item.get("type") or "message"
        if kind == "message":
            messages.append(_translate_message(item, place))
        elif kind == "function_call":
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": None})
            messages[-1].setdefault("tool_calls", []).append(_translate_call(item, place))
        elif kind == "function_call_output":
            messages.append(_translate_output(item, place))
        elif kind != "reasoning":  # another model wrote it; this one can't read it
            raise BadRequest(
                f"`{place}`: only messages, function calls and function call outputs are supported.",
                param=place,
            )
        if kind in ITEM_KEYS:
            refuse_unknown_keys(item, ITEM_KEYS[kind], place)
    return messages


def _translate_message(item: JsonObject, place: str) -> JsonObject:
    role = read_text(item, "role", place)
    if role not in ROLES:
        raise BadRequest(f"`{place}.role` must be one of {', '.join(ROLES)}.", param=f"{place}.role")
    return {"role": ROLES[role], "content": join_texts(item.get("content"), f"{place}.content", TEXT_TYPES)}


def _translate_call(item: JsonObject, place: str) -> JsonObject:
    function = {"name": read_text(item, "name", place), "arguments": read_text(item, "arguments", place)}
    return {"id": read_text(item, "call_id", place), "type": "function", "function": function}


def _translate_output(item: JsonObject, place: str) -> JsonObject:
    text = join_texts(item.get("output"), f"{place}.output", TEXT_TYPES)
    return {"role": "tool", "tool_call_id": read_text(item, "call_id", place), "content": text}


def _translate_tools(raw: JsonObject) -> JsonObject:
    """Return chat's fields for the tools and their choice."""
    tools = read_objects(raw.get("tools") or [], "tools")
    choice: Any = raw.get("tool_choice") or "auto"
    names_function = isinstance(choice, dict) and choice.get("type") == "function"
    allows_some = isinstance(choice, dict) and choice.get("type") == ALLOWED_TOOLS
    must_call = names_function or allows_some or choice == "required"
    is_possible = bool(tools) if must_call else choice in ("auto", "none")
    require(is_possible, "tool_choice", "must be auto, none, or required or a function with `tools`")
    if not tools:
        return {"parallel_tool_calls": None}
    if names_function:
        choice = {"type": "function", "function": {"name": read_text(choice, "name", "tool_choice")}}
    if allows_some:
        choice = _translate_allowed(choice)
    chat_tools = [_translate_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    return {"tools": chat_tools, "tool_choice": choice}


def _translate_allowed(choice: JsonObject) -> JsonObject:
    """Return a choice among some tools in a chat's form, where functions have a level of their own."""
    refuse_unknown_keys(choice, {"type", "mode", "tools"}, "tool_choice")
    functions = []
    for index, tool in enumerate(read_objects(choice.get("tools"), "tool_choice.tools")):
        name = read_text(tool, "name", f"tool_choice.tools[{index}]")
        functions.append({"type": tool.get("type"), "function": {"name": name}})
    allowed = {"mode": choice.get("mode"), "tools": functions}
    return {"type": ALLOWED_TOOLS, ALLOWED_TOOLS: allowed}


def _translate_tool(tool: JsonObject, place: str) -> JsonObject:
    if tool.get("type") != "function":
        raise BadRequest(f"`{place}`: only tools of type function are supported.", param=f"{place}.type")
    refuse_unknown_keys(tool, TOOL_KEYS, place)
    function = {"name": read_text(tool, "name", place), "strict": tool.get("strict") is not False}
    for name in ("description", "parameters"):
        if tool.get(name) is not None:
            function[name] = tool[name]
    return {"type": "function", "function": function}


def _translate_format(raw: JsonObject) -> JsonObject:
    """Return chat's field for the form of the answer's text."""
    settings = raw.get("text", {})
    refuse_unknown_keys(settings, {"format", "verbosity"}, "text")
    if settings.get("verbosity") not in (None, "medium"):
        raise BadRequest(
            "`text.verbosity` is not supported. Ask for the length you want in `instructions`.",
            param="text.verbosity",
        )
    text_format = settings.get("format") or {"type": "text"}
    kind = text_format.get("type") if isinstance(text_format, dict) else None
    if kind not in FORMAT_TYPES:
        raise BadRequest("`text.format` must be text, json_object or json_schema.", param="text.format")
    known = {"type", *JSON_SCHEMA_KEYS} if kind == "json_schema" else {"type"}
    refuse_unknown_keys(text_format, known, "text.format")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"response_format": {"type": kind}}
    json_schema = {name: value for name, value in text_format.items() if name != "type"}
    return {"response_format": {"type": kind, "json_schema": json_schema}}
