"""A chat's messages and tools, written anew from the keys that are known: nothing else reaches the engine.

vLLM reads keys of its own wherever they stand: a text part with `uuid` and `image_url` is an image to it.
"""

import re
from typing import Any

import orjson

from inference.contract import base_model, grammars
from inference.errors import BadRequest

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
MAX_MESSAGES = 4096
MAX_TOOLS = 128
MAX_ARGUMENTS_DEPTH = 32
NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
PLAIN_TEXT = {"type", "text", "refusal", "cache_control", "annotations"}

MESSAGE_KEYS = {"role", "content", "name", "tool_calls", "tool_call_id", "refusal"}
# What clients send back of an answer, and hints to caches: none of it is written into a prompt.
MESSAGE_NOTES = {
    "annotations", "cache_control", "id", "provider_specific_fields", "reasoning", "reasoning_content",
    "reasoning_details", "thinking_blocks",
}  # fmt: skip
TOOL_KEYS = {"type", "function", "cache_control"}
FUNCTION_KINDS: dict[str, tuple[type, str]] = {
    "description": (str, "a text"), "parameters": (dict, "an object"), "strict": (bool, "true or false"),
}  # fmt: skip
FUNCTION_KEYS = {"name", *FUNCTION_KINDS}


def rebuild_messages(value: Any) -> list[dict[str, Any]]:
    """Return messages as the engine gets them, text parts joined as vLLM does it. Raises BadRequest."""
    if not isinstance(value, list) or not value:
        raise _refuse("messages", "must be a list with at least one message")
    if len(value) > MAX_MESSAGES:
        raise _refuse("messages", f"may hold at most {MAX_MESSAGES} messages")
    return [_message(message, index) for index, message in enumerate(value)]


def _message(message: Any, index: int) -> dict[str, Any]:
    if (
        type(message) is dict and len(message) == 2 and type(message.get("content")) is str
        and message.get("role") in ROLES
    ):  # fmt: skip
        return message  # nothing else is in it
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise BadRequest(
            f"Each message must be an object with `role` (one of {', '.join(ROLES)}) and `content`.",
            param="messages",
        )
    if not message.keys() <= MESSAGE_KEYS:
        _refuse_unknown(message, MESSAGE_KEYS | MESSAGE_NOTES, f"messages[{index}]")
    content = message.get("content")
    rebuilt = {"role": message["role"], "content": content if type(content) is str else _text(content, index)}
    _add_the_rest(rebuilt, message, index)
    if rebuilt["content"] is None:
        if message["role"] != "assistant":
            raise _refuse(f"messages[{index}].content", "must be a text or a list of texts")
        if "tool_calls" not in rebuilt:
            rebuilt["content"] = ""
    return rebuilt


def _add_the_rest(rebuilt: dict[str, Any], message: dict[str, Any], index: int) -> None:
    place = f"messages[{index}]"
    for name in ("name", "tool_call_id", "refusal"):
        value = message.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise _refuse(f"{place}.{name}", "must be a text")
        if name != "refusal":
            rebuilt[name] = value
        elif rebuilt["content"] is None:
            rebuilt["content"] = value
    calls = message.get("tool_calls")
    if calls:
        if message["role"] != "assistant" or not isinstance(calls, list):
            raise _refuse(f"{place}.tool_calls", "must be a list, in a message of the assistant")
        if len(calls) > MAX_TOOLS:
            raise _refuse(f"{place}.tool_calls", f"may hold at most {MAX_TOOLS} calls")
        rebuilt["tool_calls"] = [_call(call, f"{place}.tool_calls") for call in calls]


def _text(content: Any, index: int) -> str | None:
    if content is None:
        return None
    place = f"messages[{index}].content"
    if not isinstance(content, list):
        raise _refuse(place, "must be a text or a list of texts")
    texts = [_part(part, place) for part in content]
    return "\n".join(filter(None, texts))  # vLLM leaves out what is empty


def _part(part: Any, place: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in ("text", "refusal"):
        raise BadRequest("Only text content is served.", param="messages")
    if not part.keys() <= PLAIN_TEXT:
        _refuse_unknown(part, PLAIN_TEXT, place)
    if not isinstance(part.get(kind), str):
        raise _refuse(f"{place}.{kind}", "must be a text")
    return str(part[kind])


def _call(call: Any, place: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or call.get("type", "function") != "function":
        raise _refuse(place, "must be calls of type function")
    _refuse_unknown(call, {"id", "type", "function", "index", "provider_specific_fields"}, place)
    _refuse_unknown(function, {"name", "arguments", "provider_specific_fields"}, f"{place}.function")
    arguments = function.get("arguments") or "{}"
    if not isinstance(arguments, str) or not isinstance(call.get("id") or "", str):
        raise _refuse(f"{place}.function.arguments", "must be a JSON object written as a text")
    name = _name(function.get("name"), f"{place}.function.name")
    bounded = _arguments(arguments, f"{place}.function.arguments")
    return {"id": call.get("id") or "", "type": "function", "function": {"name": name, "arguments": bounded}}


def _arguments(arguments: str, place: str) -> str:
    """Return the arguments of a call. A model may have written what is no JSON: the engine takes that for {}.

    It reads them with a parser that fails on deep nesting, so this must hold for what is no JSON, too.
    """
    if arguments.count("[") + arguments.count("{") <= MAX_ARGUMENTS_DEPTH:
        return arguments
    try:
        level = [orjson.loads(arguments)]
    except orjson.JSONDecodeError:
        return "{}"
    for _ in range(MAX_ARGUMENTS_DEPTH):
        level = [inner for outer in level for inner in grammars.containers_in(outer)]
    if level:
        raise _refuse(place, f"may be nested {MAX_ARGUMENTS_DEPTH} levels deep")
    return arguments


def rebuild_tools(fields: dict[str, Any]) -> list[Any]:
    """Write the tools of a request and their choice anew, within `fields`; return what becomes a grammar.

    Tools that must be called follow their parameters (`strict`) unless they say otherwise. Raises BadRequest.
    """
    tools, choice = fields.pop("tools", None), fields.pop("tool_choice", None)
    calls_several = fields.pop("parallel_tool_calls", None)
    if not tools:
        if choice not in (None, "none", "auto") or not isinstance(tools, list | None):
            raise _refuse("tool_choice", "needs `tools`, a list of functions")
        return []
    if not isinstance(tools, list) or len(tools) > MAX_TOOLS:
        raise _refuse("tools", f"must be a list of at most {MAX_TOOLS} functions")
    rebuilt = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    names = [tool["function"]["name"] for tool in rebuilt]
    if len(set(names)) < len(names):
        raise _refuse("tools", "must have a name of its own each")
    fields["tools"], fields["tool_choice"] = rebuilt, _choice(choice, names)
    if calls_several is not None:
        fields["parallel_tool_calls"] = calls_several
    return _grammar_of(fields)


def _grammar_of(fields: dict[str, Any]) -> list[Any]:
    functions, choice = [tool["function"] for tool in fields["tools"]], fields["tool_choice"]
    if choice == "none":
        return []
    if choice == "auto":
        if not base_model.has_tools():
            raise BadRequest(
                "The base model was never taught tools: its chat template doesn't show them, so with "
                "`tool_choice: auto` none would be called. Set `tool_choice` to required or to a function, "
                "which always works; or to none.", param="tool_choice",
            )  # fmt: skip
        bound = [function for function in functions if function.get("strict")]
    else:
        bound = functions
        for function in functions:
            function.setdefault("strict", True)
    if not bound:
        return []
    schemas = [function["parameters"] for function in functions if "parameters" in function]
    grammars.check_schemas(schemas, "tools")
    return [functions, choice, fields.get("parallel_tool_calls")]


def _tool(tool: Any, place: str) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or tool.get("type") != "function":
        raise _refuse(f"{place}.type", "must be function: no other tools are served")
    _refuse_unknown(tool, TOOL_KEYS, place)
    _refuse_unknown(function, FUNCTION_KEYS, f"{place}.function")
    rebuilt: dict[str, Any] = {"name": _name(function.get("name"), f"{place}.function.name")}
    for name, (kind, noun) in FUNCTION_KINDS.items():
        value = function.get(name)
        if value is None:
            continue
        if not isinstance(value, kind):
            raise _refuse(f"{place}.function.{name}", f"must be {noun}")
        rebuilt[name] = value
    grammars.check_depth(rebuilt.get("parameters"), "tools")
    return {"type": "function", "function": rebuilt}


def _choice(choice: Any, names: list[str]) -> Any:
    if choice is None:
        return "auto"
    if isinstance(choice, str) and choice in ("none", "auto", "required"):
        return choice
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or choice.get("type") != "function":
        raise _refuse("tool_choice", "must be none, auto, required, or one function of `tools`")
    if name not in names:
        raise _refuse("tool_choice", "must name one of `tools`")
    return {"type": "function", "function": {"name": name}}


def _name(value: Any, place: str) -> str:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise _refuse(place, "must be 1 to 128 letters, digits, or any of _ . : / -")


def _refuse_unknown(value: dict[str, Any], known: set[str], place: str) -> None:
    for name, inner in value.items():
        if name not in known and inner is not None and inner != [] and inner is not False:
            spot = f"{place}.{name[:64]}"
            raise _refuse(spot, "is not served; leave it out")


def _refuse(place: str, why: str) -> BadRequest:
    """Return the error that says what is wrong with a place; its field is the first word of it."""
    return BadRequest(f"`{place}` {why}.", param=re.split(r"[.\[]", place)[0])
