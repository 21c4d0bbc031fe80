"""A chat's messages, rebuilt from the keys that are known: no other key reaches the engine.

vLLM reads keys of its own anywhere: it takes a text part with `uuid` and `image_url` for an image.
"""

from typing import Any

from inference.contract.place_errors import place_error, refuse_unknown_keys
from inference.contract.tools import MAX_ARGUMENTS_CHARACTERS, MAX_TOOLS, rebuild_call
from inference.errors import BadRequest

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
MAX_MESSAGES = 4096
TEXT_PART_KEYS = {"type", "text", "refusal", "cache_control", "annotations", "prompt_cache_breakpoint"}

MESSAGE_KEYS = {"role", "content", "name", "tool_calls", "tool_call_id", "refusal"}
# Clients send these back with an earlier answer, or as hints to caches. No prompt has them.
IGNORED_MESSAGE_KEYS = {
    "annotations", "cache_control", "id", "parsed", "provider_specific_fields", "reasoning",
    "reasoning_content", "reasoning_details", "thinking_blocks",
}  # fmt: skip


def rebuild_messages(value: Any) -> list[dict[str, Any]]:
    """Return the messages for the engine, with text parts joined as vLLM does it. Raises BadRequest."""
    if not isinstance(value, list) or not value:
        raise place_error("messages", "must be a list with at least one message")
    if len(value) > MAX_MESSAGES:
        raise place_error("messages", f"can have at most {MAX_MESSAGES} messages")
    rebuilt = [_rebuild_message(message, index) for index, message in enumerate(value)]
    if sum(map(_arguments_length, rebuilt)) > MAX_ARGUMENTS_CHARACTERS:
        most = f"{MAX_ARGUMENTS_CHARACTERS:,}"
        raise place_error("messages", f"can have at most {most} characters of `arguments` in all tool calls")
    return rebuilt


def _arguments_length(message: dict[str, Any]) -> int:
    return sum(len(call["function"]["arguments"]) for call in message.get("tool_calls", ()))


def _rebuild_message(message: Any, index: int) -> dict[str, Any]:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise BadRequest(
            f"Each message must be an object with `role` (one of {', '.join(ROLES)}) and `content`.",
            param="messages",
        )
    content = message.get("content")
    if len(message) == 2 and isinstance(content, str):
        return message  # most messages have only a role and a text: nothing is to be rebuilt
    if not message.keys() <= MESSAGE_KEYS:
        refuse_unknown_keys(message, MESSAGE_KEYS | IGNORED_MESSAGE_KEYS, f"messages[{index}]")
    rebuilt = {"role": message["role"], "content": _join_text(content, index)}
    _add_optional_keys(rebuilt, message, index)
    if rebuilt["content"] is None:
        if message["role"] != "assistant":
            raise place_error(f"messages[{index}].content", "must be a string or a list of strings")
        if "tool_calls" not in rebuilt:
            rebuilt["content"] = ""
    return rebuilt


def _add_optional_keys(rebuilt: dict[str, Any], message: dict[str, Any], index: int) -> None:
    place = f"messages[{index}]"
    for name in ("name", "tool_call_id", "refusal"):
        value = message.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise place_error(f"{place}.{name}", "must be a string")
        if name != "refusal":
            rebuilt[name] = value
        elif rebuilt["content"] is None:
            rebuilt["content"] = value
    if message.get("tool_calls"):
        rebuilt["tool_calls"] = _rebuild_calls(message, f"{place}.tool_calls")


def _rebuild_calls(message: dict[str, Any], place: str) -> list[dict[str, Any]]:
    calls = message["tool_calls"]
    if message["role"] != "assistant" or not isinstance(calls, list):
        raise place_error(place, "must be a list, in an assistant message")
    if len(calls) > MAX_TOOLS:
        raise place_error(place, f"can have at most {MAX_TOOLS} calls")
    return [rebuild_call(call, place) for call in calls]


def _join_text(content: Any, index: int) -> str | None:
    if content is None or isinstance(content, str):
        return content
    place = f"messages[{index}].content"
    if not isinstance(content, list):
        raise place_error(place, "must be a string or a list of strings")
    texts = [_read_part(part, place) for part in content]
    return "\n".join(text for text in texts if text)  # vLLM drops empty parts


def _read_part(part: Any, place: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in ("text", "refusal"):
        raise BadRequest("Only text content is supported.", param="messages")
    refuse_unknown_keys(part, TEXT_PART_KEYS, place)
    text = part.get(kind)
    if not isinstance(text, str):
        raise place_error(f"{place}.{kind}", "must be a string")
    return text
