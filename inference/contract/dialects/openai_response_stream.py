"""A chat's stream as the events of OpenAI's responses."""

from dataclasses import dataclass, field

from inference.contract.dialects.common import format_event, read_choices
from inference.contract.usage import Usage
from inference.facts import JsonObject

# What a response repeats of its request, and what it says where the request says nothing.
ECHOED: JsonObject = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": None,
    "safety_identifier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
# What it says of what is stored.
STATELESS: JsonObject = {"store": False, "previous_response_id": None}


@dataclass(eq=False, slots=True)
class ResponseStream:
    """A response as far as the client has it: its items, of which the last may be open."""

    request_id: str
    request: JsonObject
    state: JsonObject = field(default_factory=lambda: dict(STATELESS))
    first_chunk: JsonObject = field(default_factory=dict)
    items: list[JsonObject] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)  # of the open item's text or arguments
    open_key: str | int = ""  # "text", or chat's index of a tool call
    sequence_number: int = 0
    status: str = "in_progress"
    is_cut: bool = False
    usage: JsonObject | None = None
    watermark: str = ""
    closing_events: bytes = b""

    def translate_chunk(self, chunk: JsonObject) -> bytes:
        """Return the events of the next part of the answer."""
        events = b"" if self.first_chunk else self._begin_response(chunk)
        self.usage = chunk.get("usage") or self.usage
        self.watermark = chunk.get("watermark") or self.watermark
        for choice, delta in read_choices(chunk):
            events += self._translate_delta(delta)
            if choice.get("finish_reason") == "length":
                self.is_cut = True
        return events

    def translate_error(self, error: JsonObject) -> bytes:
        """Return the event of an error that ends the stream.

        It is flat, as OpenAI documents it, and nested, as OpenAI sends it and its client raises it.
        """
        facts = {name: error.get(name) for name in ("code", "message", "param")}
        return self._format_event("error", **facts, error=error)

    def close(self) -> None:
        """End the last item: `response` is complete from now on."""
        if self.status == "in_progress":
            self.status = "incomplete" if self.is_cut else "completed"
            self.closing_events = self._close_item(self.status)

    def finish(self) -> bytes:
        """Return the last events."""
        self.close()
        return self.closing_events + self._format_event(f"response.{self.status}", response=self.response())

    def response(self) -> JsonObject:
        """Return the response as it is now."""
        echoed = {}
        for name, default in ECHOED.items():
            sent = self.request.get(name)
            echoed[name] = default if sent is None else sent
        is_incomplete = self.status == "incomplete"
        return (
            echoed
            | {
                "id": self.response_id,
                "object": "response",
                "created_at": self.first_chunk.get("created"),
                "model": self.first_chunk.get("model"),
                "status": self.status,
                "output": self.items,
                "error": None,
                "incomplete_details": {"reason": "max_output_tokens"} if is_incomplete else None,
                "usage": self.usage and _describe_usage(self.usage),
                "background": False,
            }
            | self.state
            | ({"watermark": self.watermark} if self.watermark else {})
        )

    @property
    def response_id(self) -> str:
        return f"resp_{self._id_suffix}"

    @property
    def _id_suffix(self) -> str:
        return self.request_id.removeprefix("req_")

    def _begin_response(self, chunk: JsonObject) -> bytes:
        self.first_chunk = chunk
        created = self._format_event("response.created", response=self.response())
        return created + self._format_event("response.in_progress", response=self.response())

    def _translate_delta(self, delta: JsonObject) -> bytes:
        events = b""
        text = delta.get("content")
        if text:
            events += self._open_message()
            events += self._format_event(
                "response.output_text.delta", delta=text, logprobs=[], **self._place()
            )
            self.parts.append(text)
        for call in delta.get("tool_calls") or ():
            events += self._open_call(call)
            arguments = (call.get("function") or {}).get("arguments")
            if arguments:
                events += self._format_event(
                    "response.function_call_arguments.delta", delta=arguments, **self._place()
                )
                self.parts.append(arguments)
        return events

    def _open_message(self) -> bytes:
        if self.open_key == "text":
            return b""
        item = {"type": "message", "role": "assistant", "content": []}
        events = self._open_item("text", item, prefix="msg")
        return events + self._format_event(
            "response.content_part.added", part=_describe_text(""), **self._place()
        )

    def _open_call(self, call: JsonObject) -> bytes:
        key = call.get("index") or 0
        if self.open_key == key:
            return b""
        function = call.get("function") or {}
        item = {
            "type": "function_call",
            "call_id": call.get("id"),
            "name": function.get("name"),
            "arguments": "",
        }
        return self._open_item(key, item, prefix="fc")

    def _open_item(self, key: str | int, item: JsonObject, *, prefix: str) -> bytes:
        events = self._close_item("completed")
        self.open_key = key
        self.parts = []
        item_id = f"{prefix}_{self._id_suffix}_{len(self.items)}"
        self.items.append({"id": item_id, "status": "in_progress"} | item)
        return events + self._format_item("added")

    def _close_item(self, status: str) -> bytes:
        """Return the events that end the open item, if there is one."""
        if not self.items:
            return b""
        item = self.items[-1]
        text = "".join(self.parts)
        item["status"] = status
        if self.open_key == "text":
            item["content"] = [_describe_text(text)]
            events = self._format_event("response.output_text.done", text=text, logprobs=[], **self._place())
            events += self._format_event(
                "response.content_part.done", part=_describe_text(text), **self._place()
            )
        else:
            item["arguments"] = text
            events = self._format_event(
                "response.function_call_arguments.done", name=item["name"], arguments=text, **self._place()
            )
        return events + self._format_item("done")

    def _place(self) -> JsonObject:
        """Return where the open item is in the response."""
        place = {"item_id": self.items[-1]["id"], "output_index": len(self.items) - 1}
        if self.open_key == "text":
            place["content_index"] = 0
        return place

    def _format_item(self, step: str) -> bytes:
        last_index = len(self.items) - 1
        return self._format_event(
            f"response.output_item.{step}", output_index=last_index, item=self.items[-1]
        )

    def _format_event(self, kind: str, **facts: object) -> bytes:
        event = format_event(kind, sequence_number=self.sequence_number, **facts)
        self.sequence_number += 1
        return event


def _describe_text(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _describe_usage(counts: JsonObject) -> JsonObject:
    """Return the counts that are billed, and how many tokens of the prompt a cache had or has from now on."""
    usage = Usage()
    usage.read_reported(counts)
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_written,
        },
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.tokens,
    }
