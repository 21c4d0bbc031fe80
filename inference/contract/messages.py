"""A chat's messages, rebuilt from the keys that are known: no other key reaches the engine.

vLLM reads keys of its own anywhere: it takes a text part with `uuid` and `image_url` for an image.
"""

from typing import Any

from inference.contract.place_errors import name_set, refuse_unknown_keys, require
from inference.contract.tools import MAX_ARGUMENTS_CHARACTERS, MAX_TOOLS, rebuild_call
from inference.errors import BadRequest
from inference.facts import JsonObject

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
MAX_MESSAGES = 4096
TOO_MANY_MESSAGES = f"can have at most {MAX_MESSAGES} messages"
TOO_LONG_ARGUMENTS = (
    f"can have at most {MAX_ARGUMENTS_CHARACTERS:,} characters of `arguments` in all tool calls"
)
TEXT_PART_KEYS = {"type", "text", "refusal", "cache_control", "annotations", "prompt_cache_breakpoint"}

MESSAGE_KEYS = {"role", "content", "name", "tool_calls", "tool_call_id", "refusal"}
# Clients send these back with an earlier answer, or as hints to caches. No prompt has them.
IGNORED_MESSAGE_KEYS = name_set(
    """
    annotations cache_control id parsed provider_specific_fields reasoning reasoning_content
    reasoning_details thinking_blocks
    """
)


def rebuild_messages(value: Any) -> list[JsonObject]:
    """Return the messages for the engine, with text parts joined as vLLM does it. Raises BadRequest."""
    require(isinstance(value, list) and value, "messages", "must be a list with at least one message")
    require(len(value) <= MAX_MESSAGES, "messages", TOO_MANY_MESSAGES)
    rebuilt = [_rebuild_message(message, index) for index, message in enumerate(value)]
    arguments_length = sum(map(_arguments_length, rebuilt))
    require(arguments_length <= MAX_ARGUMENTS_CHARACTERS, "messages", TOO_LONG_ARGUMENTS)
    return rebuilt


def _arguments_length(message: JsonObject) -> int:
    return sum(len(call["function"]["arguments"]) for call in message.get("tool_calls", ()))


def _rebuild_message(message: Any, index: int) -> JsonObject:
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
        is_answer = message["role"] == "assistant"
        require(is_answer, f"messages[{index}].content", "must be a string or a list of strings")
        if "tool_calls" not in rebuilt:
            rebuilt["content"] = ""
    return rebuilt


def _add_optional_keys(rebuilt: JsonObject, message: JsonObject, index: int) -> None:
    place = f"messages[{index}]"
    for name in ("name", "tool_call_id", "refusal"):
        value = message.get(name)
        if value is None:
            continue
        require(isinstance(value, str), f"{place}.{name}", "must be a string")
        if name != "refusal":
            rebuilt[name] = value
        elif rebuilt["content"] is None:
            rebuilt["content"] = value
    if message.get("tool_calls"):
        rebuilt["tool_calls"] = _rebuild_calls(message, f"{place}.tool_calls")


def _rebuild_calls(message: JsonObject, place: str) -> list[JsonObject]:
    calls = message["tool_calls"]
    is_list = message["role"] == "assistant" and isinstance(calls, list)
    require(is_list, place, "must be a list, in an assistant message")
    require(len(calls) <= MAX_TOOLS, place, f"can have at most {MAX_TOOLS} calls")
    return [rebuild_call(call, place) for call in calls]


def _join_text(content: Any, index: int) -> str | None:
    if content is None or isinstance(content, str):
        return content
    place = f"messages[{index}].content"
    require(isinstance(content, list), place, "must be a string or a list of strings")
    texts = [_read_part(part, place) for part in content]
    return "\n".join(text for text in texts if text)  # vLLM drops empty parts


def _read_part(part: Any, place: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in ("text", "refusal"):
        raise BadRequest("Only text content is supported.", param="messages")
    refuse_unknown_keys(part, TEXT_PART_KEYS, place)
    text = part.get(kind)
    require(isinstance(text, str), f"{place}.{kind}", "must be a string")
    return str(text)
