"""A chat's stream as the events of Anthropic's messages."""

from dataclasses import dataclass, field

from inference.contract.dialects.common import format_event, read_choices
from inference.contract.usage import Usage
from inference.facts import JsonObject

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
