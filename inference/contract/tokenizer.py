"""Counts a prompt's tokens exactly, by the base model's own chat template and tokenizer."""

from typing import Any

import orjson

from inference.contract import base_model
from inference.contract.requests import ParsedRequest

HEADER = "x-anthropic-billing-header"  # a line of Claude Code's system texts, which vLLM leaves out


def count_prompt_tokens(parsed: ParsedRequest) -> int:
    """Return how many tokens the engine will read; an upper bound where its files are missing."""
    tokenizer = base_model.tokenizer()
    if tokenizer is None:
        return parsed.prompt_bound()
    if parsed.kind == "text":
        return sum(
            len(prompt) if isinstance(prompt, list) else len(tokenizer.encode(prompt).ids)
            for prompt in parsed.prompts()
        )
    messages = [_as_the_engine_has_it(message) for message in parsed.fields["messages"]]
    tools = [_tool(tool) for tool in parsed.fields.get("tools") or ()]
    prompt = base_model.render_prompt(messages, tools or None)
    if prompt is None:
        return parsed.prompt_bound()
    return len(tokenizer.encode(prompt, add_special_tokens=False).ids)


def _as_the_engine_has_it(message: dict[str, Any]) -> dict[str, Any]:
    """Return a checked message as vLLM gives it to a template."""
    content = message.get("content") or ""
    if message["role"] == "system" and content.startswith(HEADER):
        content = content.partition("\n")[2]
    calls = [_call(call) for call in message.get("tool_calls") or ()]
    return message | {"content": content} | ({"tool_calls": calls} if calls else {})


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return call | {"function": function | {"arguments": _object(function["arguments"])}}


def _object(arguments: str) -> dict[str, Any]:
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool with the keys that vLLM writes out for it."""
    function = {"description": None, "parameters": None} | tool["function"]
    order = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: function[name] for name in order if name in function}}
