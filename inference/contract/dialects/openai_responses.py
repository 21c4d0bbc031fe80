"""OpenAI's `POST /v1/responses` by translation: the request becomes a chat, the chat's answer a response.

Nothing is kept between requests, so whatever builds on an earlier response is refused. The form:
https://platform.openai.com/docs/api-reference/responses, as OpenAI's Python client reads it.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import orjson

from inference.contract import fields
from inference.contract.dialects.common import as_chat, event, objects, text_of, translated, word
from inference.contract.requests import ParsedRequest
from inference.contract.usage import Usage
from inference.errors import BadRequest

PASSED = (
    "model", "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "seed", "stop", "parallel_tool_calls", "stream", "stream_options", "user",
)  # fmt: skip
NAMES = {"messages": "input", "max_tokens": "max_output_tokens", "response_format": "text.format"}
PROBABILITIES = "message.output_text.logprobs"
TEXTS = ("input_text", "output_text", "text", "refusal")
ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
# What an answer repeats of its request, and what is said where the request says nothing.
ECHOED: dict[str, Any] = {
    "instructions": None, "max_output_tokens": None, "metadata": {}, "parallel_tool_calls": True,
    "prompt_cache_key": None, "reasoning": None, "safety_identifier": None, "temperature": None,
    "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": None,
    "truncation": "disabled", "user": None,
}  # fmt: skip


def parse_response_request(body: bytes) -> ParsedRequest:
    """Return the request as a checked chat. Raises BadRequest naming the field that is wrong."""
    return as_chat(body, _chat, table=fields.RESPONSES, names=NAMES)


def response_of_chat(answer: bytes, asked_body: bytes, request_id: str) -> bytes:
    """Return a chat's whole answer as a response."""
    telling = _Telling(request_id, orjson.loads(asked_body))
    chat = orjson.loads(answer)
    message, counts = chat["choices"][0]["message"], chat.get("usage") or {}
    calls = [call | {"index": index} for index, call in enumerate(message.get("tool_calls") or ())]
    choice = chat["choices"][0] | {"delta": {"content": message.get("content"), "tool_calls": calls}}
    telling.chunk(chat | {"choices": [choice], "usage": counts})
    telling.done()
    return orjson.dumps(telling.response())


def response_events(
    events: AsyncGenerator[bytes], asked_body: bytes, request_id: str
) -> AsyncGenerator[bytes]:
    """Yield a chat's event stream as a response's; its last event comes only after the chat's `[DONE]`."""
    return translated(events, _Telling(request_id, orjson.loads(asked_body)))


# The request.


def _chat(raw: dict[str, Any]) -> dict[str, Any]:
    if raw.get("truncation") not in (None, "disabled", "auto"):
        raise BadRequest("`truncation` must be `disabled` or `auto`.", param="truncation")
    include = raw.get("include")
    if isinstance(include, list) and PROBABILITIES in include:
        raise BadRequest("`include`: ask /v1/chat/completions for probabilities.", param="include")
    instructions = raw.get("instructions")
    messages = [{"role": "system", "content": word(raw, "instructions")}] if instructions else []
    chat = {name: raw.get(name) for name in PASSED} | {"messages": messages + _messages(raw.get("input"))}
    return chat | {"max_tokens": raw.get("max_output_tokens")} | _tools(raw) | _format(raw)


def _messages(parsed: object) -> list[dict[str, Any]]:
    """Return the input as chat's messages; calls that follow each other or a message are one with it."""
    if isinstance(parsed, str):
        return [{"role": "user", "content": parsed}]
    messages: list[dict[str, Any]] = []
    for index, item in enumerate(objects(parsed, "input")):
        place, kind = f"input[{index}]", item.get("type") or "message"
        if kind == "message":
            messages.append(_message(item, place))
        elif kind == "function_call":
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": None})
            messages[-1].setdefault("tool_calls", []).append(_call(item, place))
        elif kind == "function_call_output":
            text = text_of(item.get("output"), f"{place}.output", TEXTS)
            messages.append({"role": "tool", "tool_call_id": word(item, "call_id", place), "content": text})
        elif kind != "reasoning":  # of another model's answer: nothing here can read it
            raise BadRequest(
                f"`{place}`: only messages, function calls and their outputs are served.", param=place
            )
    return messages


def _message(item: dict[str, Any], place: str) -> dict[str, Any]:
    role = word(item, "role", place)
    if role not in ROLES:
        raise BadRequest(f"`{place}.role` must be one of {', '.join(ROLES)}.", param=f"{place}.role")
    return {"role": ROLES[role], "content": text_of(item.get("content"), f"{place}.content", TEXTS)}


def _call(item: dict[str, Any], place: str) -> dict[str, Any]:
    function = {"name": word(item, "name", place), "arguments": word(item, "arguments", place)}
    return {"id": word(item, "call_id", place), "type": "function", "function": function}


def _tools(raw: dict[str, Any]) -> dict[str, Any]:
    """Return chat's fields for the tools, and for how they are to be used."""
    tools = objects(raw.get("tools") or [], "tools")
    choice: Any = raw.get("tool_choice") or "auto"
    named = isinstance(choice, dict) and choice.get("type") == "function"
    must = named or choice == "required"
    if (not must and choice not in ("auto", "none")) or (must and not tools):
        raise BadRequest(
            "`tool_choice` must be auto, none, or required or a function with `tools`.", param="tool_choice"
        )
    if not tools:
        return {"parallel_tool_calls": None}
    if named:
        choice = {"type": "function", "function": {"name": word(choice, "name", "tool_choice")}}
    sent = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    return {"tools": sent, "tool_choice": choice}


def _tool(tool: dict[str, Any], place: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise BadRequest(f"`{place}`: only tools of type function are served.", param=f"{place}.type")
    sent = {"name": word(tool, "name", place), "strict": tool.get("strict") is not False}
    sent |= {name: tool[name] for name in ("description", "parameters") if tool.get(name) is not None}
    return {"type": "function", "function": sent}


def _format(raw: dict[str, Any]) -> dict[str, Any]:
    """Return chat's field for the form of the text."""
    text = raw.get("text")
    if isinstance(text, dict) and text.get("verbosity") not in (None, "medium"):
        raise BadRequest(
            "`text.verbosity` is not served: say in `instructions` how long the answer is to be.",
            param="text.verbosity",
        )
    wanted = (isinstance(text, dict) and text.get("format")) or {"type": "text"}
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        raise BadRequest("`text.format` must be text, json_object or json_schema.", param="text.format")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"response_format": {"type": kind}}
    schema = {name: value for name, value in wanted.items() if name != "type" and value is not None}
    return {"response_format": {"type": kind, "json_schema": schema}}


# The answer.


@dataclass(eq=False, slots=True)
class _Telling:
    """A response as far as the client was told: its items, of which the last may be open."""

    request_id: str
    parsed: dict[str, Any]
    chat: dict[str, Any] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)  # of the open item's text or arguments
    open: str | int = ""  # "text", or chat's number of a call
    number: int = 0
    status: str = "in_progress"
    is_cut: bool = False
    usage: dict[str, Any] | None = None

    def chunk(self, chunk: dict[str, Any]) -> bytes:
        told = b"" if self.chat else self._begin(chunk)
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices") or ():
            told += self._part(choice.get("delta") or {})
            self.is_cut = self.is_cut or choice.get("finish_reason") == "length"
        return told

    def failed(self, error: dict[str, Any]) -> bytes:
        """Tell it flat, as the form says, and nested, as OpenAI sends it and its client raises it."""
        facts = {name: error.get(name) for name in ("code", "message", "param")}
        return self._event("error", **facts, error=error)

    def done(self) -> bytes:
        self.status = "incomplete" if self.is_cut else "completed"
        told = self._close(self.status)
        return told + self._event(f"response.{self.status}", response=self.response())

    def response(self) -> dict[str, Any]:
        """Return the response as it stands."""
        cut = {"reason": "max_output_tokens"} if self.status == "incomplete" else None
        echoed = {
            name: default if self.parsed.get(name) is None else self.parsed[name]
            for name, default in ECHOED.items()
        }
        return echoed | {
            "id": f"resp_{self._suffix}", "object": "response", "created_at": self.chat.get("created"),
            "model": self.chat.get("model"), "status": self.status, "output": self.items, "error": None,
            "incomplete_details": cut, "usage": self.usage and _usage(self.usage), "background": False,
            "store": False, "previous_response_id": None,
        }  # fmt: skip

    @property
    def _suffix(self) -> str:
        return self.request_id.removeprefix("req_")

    def _begin(self, chunk: dict[str, Any]) -> bytes:
        self.chat = chunk
        created = self._event("response.created", response=self.response())
        return created + self._event("response.in_progress", response=self.response())

    def _part(self, delta: dict[str, Any]) -> bytes:
        told = b""
        if text := delta.get("content"):
            told += self._open_message()
            told += self._event("response.output_text.delta", delta=text, logprobs=[], **self._place())
            self.parts.append(text)
        for call in delta.get("tool_calls") or ():
            told += self._open_call(call)
            if arguments := (call.get("function") or {}).get("arguments"):
                told += self._event(
                    "response.function_call_arguments.delta", delta=arguments, **self._place()
                )
                self.parts.append(arguments)
        return told

    def _open_message(self) -> bytes:
        if self.open == "text":
            return b""
        told = self._open("text", {"type": "message", "role": "assistant", "content": []}, prefix="msg")
        return told + self._event("response.content_part.added", part=_text(""), **self._place())

    def _open_call(self, call: dict[str, Any]) -> bytes:
        key, function = call.get("index") or 0, call.get("function") or {}
        if self.open == key:
            return b""
        item = {"type": "function_call", "call_id": call.get("id"), "name": function.get("name")}
        return self._open(key, item | {"arguments": ""}, prefix="fc")

    def _open(self, key: str | int, item: dict[str, Any], *, prefix: str) -> bytes:
        told = self._close("completed")
        item_id = f"{prefix}_{self._suffix}_{len(self.items)}"
        self.open, self.parts = key, []
        self.items.append({"id": item_id, "status": "in_progress"} | item)
        return told + self._item_event("added")

    def _close(self, status: str) -> bytes:
        """Tell of the end of the open item, if there is one."""
        if not self.items:
            return b""
        item, joined = self.items[-1], "".join(self.parts)
        item["status"] = status
        if self.open == "text":
            item["content"] = [_text(joined)]
            told = self._event("response.output_text.done", text=joined, logprobs=[], **self._place())
            told += self._event("response.content_part.done", part=_text(joined), **self._place())
        else:
            item["arguments"] = joined
            name = "response.function_call_arguments.done"
            told = self._event(name, name=item["name"], arguments=joined, **self._place())
        return told + self._item_event("done")

    def _place(self) -> dict[str, Any]:
        inside = {"content_index": 0} if self.open == "text" else {}
        return {"item_id": self.items[-1]["id"], "output_index": len(self.items) - 1} | inside

    def _item_event(self, what: str) -> bytes:
        index = len(self.items) - 1
        return self._event(f"response.output_item.{what}", output_index=index, item=self.items[-1])

    def _event(self, kind: str, **facts: object) -> bytes:
        self.number += 1
        return event(kind, sequence_number=self.number - 1, **facts)


def _text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(counts: dict[str, Any]) -> dict[str, Any]:
    """Return the counts that are billed, with those of the prompt that a cache had."""
    usage = Usage()
    usage.take(counts)
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.completion, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.tokens,
    }  # fmt: skip
