"""A chat's messages and tools, rebuilt from the keys that are known: no other key reaches the engine.

vLLM reads keys of its own anywhere: it takes a text part with `uuid` and `image_url` for an image.
"""

import re
from collections import deque
from typing import Any

import orjson
from django.conf import settings

from inference.contract import base_model, grammars
from inference.contract.field_reader import name_set, place_error, refuse_unknown_keys, require
from inference.errors import BadRequest
from inference.facts import JsonObject

MAX_TOOLS = 128
# Templates may leave some out, so nothing proves what can't fit the context, and a tokenizer reads it all.
MAX_TOOLS_BYTES = 256 * 1024
MAX_ARGUMENTS_CHARACTERS = 512 * 1024  # of all calls in a conversation
# vLLM hands arguments to the chat template as parsed JSON, by parsers that recurse.
MAX_ARGUMENTS_DEPTH = 32
NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
# Keys that only other vendors' clients send are accepted here and left out of what is rebuilt.
TOOL_KEYS = {"type", "function", "cache_control"}
CALL_KEYS = {"id", "type", "function", "index", "provider_specific_fields"}
CALLED_FUNCTION_KEYS = {"name", "arguments", "parsed_arguments", "provider_specific_fields"}
FUNCTION_TYPES: dict[str, tuple[type, str]] = {
    "description": (str, "a text"),
    "parameters": (dict, "an object"),
    "strict": (bool, "true or false"),
}
FUNCTION_KEYS = {"name", *FUNCTION_TYPES}
NO_ARGUMENTS = {"type": "object", "properties": {}, "additionalProperties": False}
# Of a schema that says itself what arguments there are.
ARGUMENT_KEYWORDS = {"properties", "additionalProperties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"}
ALLOWED_TOOLS = "allowed_tools"  # of OpenAI's `tool_choice`
REFUSE = "refuse"  # of API_AUTO_TOOL_CHOICE


def rebuild_tools(fields: JsonObject) -> list[Any]:
    """Rebuild the tools of a request and their choice, within `fields`; return what becomes a grammar.

    A tool that must be called is `strict`, whatever it says of itself. Where the model chooses and its chat
    template shows no tools, `fields` get none: the answer is a plain text. Raises BadRequest.
    """
    tools = fields.pop("tools", None)
    choice = fields.pop("tool_choice", None)
    parallel_tool_calls = fields.pop("parallel_tool_calls", None)
    if not tools:
        calls_nothing = choice in (None, "none", "auto") and isinstance(tools, list | None)
        require(calls_nothing, "tool_choice", "needs `tools`, a list of functions")
        return []
    is_short = isinstance(tools, list) and len(tools) <= MAX_TOOLS
    require(is_short, "tools", f"must be a list of at most {MAX_TOOLS} functions")
    rebuilt = [_rebuild_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    names = [tool["function"]["name"] for tool in rebuilt]
    require(len(set(names)) == len(names), "tools", "must have different names")
    size = len(orjson.dumps(rebuilt))
    require(size <= MAX_TOOLS_BYTES, "tools", f"can have at most {MAX_TOOLS_BYTES // 1024} KiB")
    if isinstance(choice, dict) and choice.get("type") == ALLOWED_TOOLS:
        choice, allowed = _read_allowed(choice, names)
        rebuilt = [tool for tool in rebuilt if tool["function"]["name"] in allowed]
    checked_choice = _check_choice(choice, names)
    if checked_choice == "auto" and not base_model.has_tools():
        _refuse_auto()
        return []
    fields["tools"] = rebuilt
    fields["tool_choice"] = checked_choice
    if parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = parallel_tool_calls
    return _tool_constraint(fields)


def _tool_constraint(fields: JsonObject) -> list[Any]:
    """Return what the grammar of the tools depends on; [] where the tools need no grammar."""
    functions = [tool["function"] for tool in fields["tools"]]
    choice = fields["tool_choice"]
    if choice not in ("none", "auto"):
        # vLLM follows a tool's schema by a grammar only where it is `strict`; without, a small model writes
        # arguments until the limit.
        for function in functions:
            function["strict"] = True
        fields.setdefault("parallel_tool_calls", False)  # else it repeats its call until the limit
    strict = [function for function in functions if function.get("strict")]
    if choice == "none" or not strict:
        return []
    for function in strict:
        function["parameters"] = _as_object(function.get("parameters", {}))
    schemas = [function["parameters"] for function in functions if "parameters" in function]
    grammars.check_schemas(schemas, "tools")
    return [functions, choice, fields.get("parallel_tool_calls")]


def _as_object(parameters: JsonObject) -> JsonObject:
    """Return a schema whose texts are objects, as arguments are; one that names none has no arguments."""
    if parameters.keys().isdisjoint(ARGUMENT_KEYWORDS):
        return NO_ARGUMENTS
    return {"type": "object"} | parameters if "properties" in parameters else parameters


def _refuse_auto() -> None:
    """Raise BadRequest where the operator wants no `auto` that calls nothing."""
    if settings.API_AUTO_TOOL_CHOICE == REFUSE:
        raise BadRequest(
            "The base model's chat template doesn't support tools, so with `tool_choice: auto` none "
            "would be called. Set `tool_choice` to required or to a function, which always works, or to "
            "none.",
            param="tool_choice",
        )


def _rebuild_tool(tool: Any, place: str) -> JsonObject:
    function: Any = tool.get("function") if isinstance(tool, dict) else None
    is_function = isinstance(function, dict) and tool.get("type") == "function"
    require(is_function, f"{place}.type", "must be function; other tools are not supported")
    refuse_unknown_keys(tool, TOOL_KEYS, place)
    refuse_unknown_keys(function, FUNCTION_KEYS, f"{place}.function")
    rebuilt: JsonObject = {"name": _check_name(function.get("name"), f"{place}.function.name")}
    for name, (kind, noun) in FUNCTION_TYPES.items():
        value = function.get(name)
        if value is not None:
            require(isinstance(value, kind), f"{place}.function.{name}", f"must be {noun}")
            rebuilt[name] = value
    grammars.check_depth(rebuilt.get("parameters"), "tools")
    return {"type": "function", "function": rebuilt}


def _read_allowed(choice: JsonObject, names: list[str]) -> tuple[str, set[str]]:
    """Return the mode of a choice among some tools, and their names."""
    described = choice.get(ALLOWED_TOOLS)
    place = f"tool_choice.{ALLOWED_TOOLS}"
    require(isinstance(described, dict), place, "must be an object with `mode` and `tools`")
    assert isinstance(described, dict)
    refuse_unknown_keys(choice, {"type", ALLOWED_TOOLS}, "tool_choice")
    refuse_unknown_keys(described, {"mode", "tools"}, place)
    mode = described.get("mode")
    require(mode in ("auto", "required"), f"{place}.mode", "must be auto or required")
    tools = described.get("tools")
    are_tools = isinstance(tools, list) and tools and all(isinstance(tool, dict) for tool in tools)
    require(are_tools, f"{place}.tools", "must be a list of functions of `tools`")
    assert isinstance(tools, list)
    return str(mode), {_check_choice(tool, names)["function"]["name"] for tool in tools}


def _check_choice(choice: Any, names: list[str]) -> Any:
    if choice is None:
        return "auto"
    if isinstance(choice, str) and choice in ("none", "auto", "required"):
        return choice
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    is_function = isinstance(name, str) and choice.get("type") == "function"
    require(is_function, "tool_choice", "must be none, auto, required, or one function of `tools`")
    require(name in names, "tool_choice", "must name one of `tools`")
    return {"type": "function", "function": {"name": name}}


def _check_name(value: Any, place: str) -> str:
    is_name = isinstance(value, str) and NAME.fullmatch(value)
    require(is_name, place, "must be 1 to 128 letters, digits, or any of _ . : / -")
    return str(value)


def rebuild_call(call: Any, place: str) -> JsonObject:
    """Return a tool call of an earlier answer for the engine. Raises BadRequest naming `place`."""
    function: Any = call.get("function") if isinstance(call, dict) else None
    is_function = isinstance(function, dict) and call.get("type", "function") == "function"
    require(is_function, place, "must be calls of type function")
    refuse_unknown_keys(call, CALL_KEYS, place)
    refuse_unknown_keys(function, CALLED_FUNCTION_KEYS, f"{place}.function")
    call_id = call.get("id") or ""
    arguments = function.get("arguments") or "{}"
    are_texts = isinstance(arguments, str) and isinstance(call_id, str)
    require(are_texts, f"{place}.function.arguments", "must be a JSON object as a string")
    name = _check_name(function.get("name"), f"{place}.function.name")
    bounded = _bound_arguments(arguments, f"{place}.function.arguments")
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": bounded}}


def _bound_arguments(arguments: str, place: str) -> str:
    """Return the arguments of a call, `{}` where deep ones are no JSON. Raises BadRequest for deep nesting.

    A model may write invalid JSON, which the engine reads as `{}`. Its parser fails on deep nesting, even of
    invalid JSON.
    """
    # Most arguments have few brackets: none of these is parsed.
    if arguments.count("[") + arguments.count("{") <= MAX_ARGUMENTS_DEPTH:
        return arguments
    try:
        level = [orjson.loads(arguments)]
    except orjson.JSONDecodeError:
        return "{}"
    for _ in range(MAX_ARGUMENTS_DEPTH):
        level = grammars.next_level(level)
    require(not level, place, f"can be nested at most {MAX_ARGUMENTS_DEPTH} levels deep")
    return arguments


def parse_arguments(arguments: str) -> JsonObject:
    """Return the arguments of a tool call as an object; {} where the model wrote something else."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


# Tool calls and their results as plain texts, for a base model whose chat template knows neither.
#
# Such a template shows a message's role and content alone, so the model would read a result without its
# call.

RESULT_ROLES = ("tool", "function")


def has_tool_messages(messages: list[JsonObject]) -> bool:
    """Return whether a conversation has tool calls or results."""
    # A list, as a generator costs a call for each message.
    return any([message["role"] in RESULT_ROLES or "tool_calls" in message for message in messages])  # noqa: C419


def write_as_texts(messages: list[JsonObject]) -> list[JsonObject]:
    """Return the messages with calls as the assistant's text and results as the user's.

    A text of the user that follows a result joins it: some templates let no role speak twice.
    """
    written: list[JsonObject] = []
    names: dict[str, str] = {}
    for message in messages:
        if message["role"] in RESULT_ROLES:
            _add_user_text(written, _describe_result(message, names))
        elif "tool_calls" in message:
            calls = [call["function"] | {"id": call["id"]} for call in message["tool_calls"]]
            names |= {call["id"]: call["name"] for call in calls}
            texts = [f"I call {call['name']}({call['arguments']})." for call in calls]
            content = "\n".join(filter(None, [message["content"], *texts]))
            written.append({"role": "assistant", "content": content})
        elif message["role"] == "user" and written and written[-1].get("has_results"):
            _add_user_text(written, message["content"])
        else:
            written.append(message)
    return [{name: message[name] for name in message if name != "has_results"} for message in written]


def _describe_result(message: JsonObject, names: dict[str, str]) -> str:
    name = names.get(message.get("tool_call_id", "")) or message.get("name") or "The function"
    return f"{name} returned: {message['content']}"


def _add_user_text(written: list[JsonObject], text: str) -> None:
    """Add a text of the user, to the results before it where there are some."""
    if written and written[-1].get("has_results"):
        written[-1]["content"] += f"\n\n{text}"
    else:
        written.append({"role": "user", "content": text, "has_results": True})


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
    if not (isinstance(value, list) and value):
        raise place_error("messages", "must be a list with at least one message")
    if len(value) > MAX_MESSAGES:
        raise place_error("messages", TOO_MANY_MESSAGES)
    rebuilt = [_rebuild_message(message, index) for index, message in enumerate(value)]
    calls = [call for message in rebuilt for call in message.get("tool_calls", ())]
    if calls:
        arguments_length = sum(len(call["function"]["arguments"]) for call in calls)
        require(arguments_length <= MAX_ARGUMENTS_CHARACTERS, "messages", TOO_LONG_ARGUMENTS)
    return rebuilt


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


# Of a JSON text that breaks off.
CLOSERS = {"{": "}", "[": "]"}
# A whole string, the beginning of one that breaks off, or a sign of structure.
SIGN = re.compile(r'"(?:[^"\\]|\\.)*"|["{}\[\],]', re.DOTALL)
# The last end may be that of a key. Before it is a comma, or a bracket that opens.
ENDS_TRIED = 3


def parse_begun(text: str) -> Any:
    """Return the value of a JSON text without the member or item that is not complete; None where none is.

    >>> parse_begun('{"city": "Oslo", "days": [1, 2')
    {'city': 'Oslo', 'days': [1]}
    """
    closers: list[str] = []
    ends: deque[tuple[int, str]] = deque(maxlen=ENDS_TRIED)
    for sign in SIGN.finditer(text):
        end = sign.end()
        if sign[0] in CLOSERS:
            closers.append(CLOSERS[sign[0]])
        elif sign[0] in CLOSERS.values():
            if not closers or closers.pop() != sign[0]:
                return None
        elif sign[0] == ",":
            end -= 1
        elif sign[0] == '"':
            break
        ends.append((end, "".join(reversed(closers))))
    for end, closing in reversed(ends):
        try:
            return orjson.loads(text[:end] + closing)
        except orjson.JSONDecodeError:
            continue
    return None
