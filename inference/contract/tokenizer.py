"""Count a prompt's tokens exactly, by the base model's own chat template and tokenizer."""

from typing import TYPE_CHECKING

from inference.contract import base_model
from inference.contract.requests import ParsedRequest
from inference.contract.tools import parse_arguments
from inference.facts import JsonObject

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BILLING_LINE = "x-anthropic-billing-header"  # Claude Code's system texts begin with it; vLLM drops it
BYTES_PER_ROLE = 64  # what a chat template writes around a message
FUNCTION_KEYS = ("name", "description", "parameters", "strict")


def count_prompt_tokens(parsed: ParsedRequest) -> int:
    """Return how many tokens the engine will read; an upper bound where there are no files of the model."""
    tokenizer = base_model.tokenizer()
    if tokenizer is None:
        return parsed.prompt_bound()
    if parsed.kind == "text":
        return sum(_count_prompt(tokenizer, prompt) for prompt in parsed.prompts())
    prompt = render_chat(parsed)
    if prompt is None:
        return parsed.prompt_bound()
    return len(tokenizer.encode(prompt, add_special_tokens=False).ids)


def count_conversation_tokens(messages: list[JsonObject]) -> int:
    """Return how many tokens a whole conversation has, the last answer and its end mark too.

    An upper bound where there are no files of the model: no token is shorter than a byte.
    """
    tokenizer = base_model.tokenizer()
    *before, last = messages
    prompt = base_model.render_prompt(before, None)
    if tokenizer is None or prompt is None:
        return sum(len(message["content"].encode()) + BYTES_PER_ROLE for message in messages)
    text = f"{prompt}{last['content']}"
    return len(tokenizer.encode(text, add_special_tokens=False).ids) + 1


def encode_answer(messages: list[JsonObject]) -> list[int] | None:
    """Return the tokens of a chat whose last message is an answer that isn't finished; None where unknown."""
    tokenizer = base_model.tokenizer()
    *before, last = messages
    prompt = base_model.render_prompt(before, None)
    if tokenizer is None or prompt is None:
        return None
    ids: list[int] = tokenizer.encode(f"{prompt}{last['content']}", add_special_tokens=False).ids
    return ids


def encode_text(text: str) -> tuple[list[int], list[tuple[int, int]]] | None:
    """Return a text's tokens, and where each begins and ends in it; None where there is no tokenizer."""
    tokenizer = base_model.tokenizer()
    if tokenizer is None:
        return None
    encoded = tokenizer.encode(text, add_special_tokens=False)
    return encoded.ids, encoded.offsets


def refuses_chat(messages: list[JsonObject]) -> bool:
    """Return whether the base's chat template refuses a chat; False where there is no template."""
    has_template = base_model.describe_tokenizer()["chat_template"] is not None
    return has_template and base_model.render_prompt(messages, None) is None


def render_chat(parsed: ParsedRequest) -> str | None:
    """Return the prompt that the engine makes of a chat; None where that is not known."""
    messages = [_as_template_message(message) for message in parsed.fields["messages"]]
    tools = [_as_template_tool(tool) for tool in parsed.fields.get("tools") or ()]
    return base_model.render_prompt(messages, tools or None)


def _count_prompt(tokenizer: "Tokenizer", text_or_ids: str | list[int]) -> int:
    if isinstance(text_or_ids, list):
        return len(text_or_ids)
    return len(tokenizer.encode(text_or_ids).ids)


def _as_template_message(message: JsonObject) -> JsonObject:
    """Return a checked message as vLLM passes it to the chat template."""
    content = message.get("content") or ""
    if message["role"] == "system" and content.startswith(BILLING_LINE):
        content = content.partition("\n")[2]
    passed = message | {"content": content}
    calls = message.get("tool_calls")
    if calls:
        passed["tool_calls"] = [_as_template_call(call) for call in calls]
    return passed


def _as_template_call(call: JsonObject) -> JsonObject:
    function = call["function"]
    return call | {"function": function | {"arguments": parse_arguments(function["arguments"])}}


def _as_template_tool(tool: JsonObject) -> JsonObject:
    """Return a tool with the keys that vLLM passes to the chat template, in its order."""
    function = {"description": None, "parameters": None} | tool["function"]
    return {"type": "function", "function": {key: function[key] for key in FUNCTION_KEYS if key in function}}
