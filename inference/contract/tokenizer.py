"""Count a prompt's tokens exactly, by the base model's own chat template and tokenizer."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import orjson

from inference.contract import base_model, fields
from inference.contract.field_reader import Table, read_fields
from inference.contract.messages import parse_arguments
from inference.contract.requests import ParsedRequest, parse_request, read_json
from inference.contract.route import BASE_NAME
from inference.errors import BadRequest, EngineBusy, NoTokenizer, TooLarge
from inference.facts import JsonObject

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


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


# Count tokens in separate threads, so that a long prompt delays no key look-up and no page.

THREADS = 1
WAITING_MAX = 2048  # prompts of all workspaces
WAITING_MAX_PER_TENANT = 512


class TokenPool:
    """Counts prompts with the base model's tokenizer, one prompt of a workspace at a time."""

    def __init__(self) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else one prompt uses every core
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="tokens")
        self._waiting: Counter[str] = Counter()
        self._locks: dict[str, asyncio.Lock] = {}

    async def count(self, tenant: str, parsed: ParsedRequest) -> int:
        """Return a close upper bound of a prompt's tokens. Raises EngineBusy when too many wait."""
        return await self.run(tenant, partial(count_prompt_tokens, parsed))

    async def run[T](self, tenant: str, task: Callable[[], T]) -> T:
        """Return what a task of the tokenizer returns. Raises EngineBusy when too many wait."""
        waiting = self._waiting
        if waiting[tenant] >= WAITING_MAX_PER_TENANT or waiting.total() >= WAITING_MAX:
            raise EngineBusy(retry_s=2)
        waiting[tenant] += 1
        lock = self._locks.setdefault(tenant, asyncio.Lock())
        try:
            async with lock:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, task)
        finally:
            waiting[tenant] -= 1
            if not waiting[tenant]:
                del waiting[tenant], self._locks[tenant]

    def close(self) -> None:
        """Stop the threads; prompts that wait are no longer counted."""
        self._threads.shutdown(wait=False, cancel_futures=True)


# Texts as token ids, and back: the requests of vLLM's `/tokenize` and `/detokenize`, and their answers.
#
# All styles share the base model's tokenizer, so a request need not name one. Benchmarks and evaluations
# ask: `vllm bench serve`, and lm-eval with `tokenizer_backend=remote`.

MAX_BODY_BYTES = 256 * 1024  # the tokenizer of a small model reads so much in 0.2 to 0.5 s


@dataclass(frozen=True, slots=True)
class TokenTask:
    """What the tokenizer is to do; `run` returns the answer. `model` is "" where the client named none."""

    model: str
    run: Callable[[], JsonObject]


def parse_tokenize(body: bytes) -> TokenTask:
    """Return the task to split a text, or a chat as the base model's template writes it.

    Raises BadRequest, TooLarge, and later what `encode` and `render_chat` can't do.
    """
    served = _read(fields.TOKENIZE, body)
    has_special_tokens = served.get("add_special_tokens")
    with_texts = served.get("return_token_strs", False)
    if ("prompt" in served) == ("messages" in served):
        raise BadRequest("You must provide either `prompt`, a string, or `messages`.", param="prompt")
    if "prompt" in served:
        text = served["prompt"]

        def split_text() -> JsonObject:
            encoding = _require_tokenizer().encode(text, add_special_tokens=has_special_tokens is not False)
            return _describe(encoding, with_texts=with_texts)

        return TokenTask(served.get("model", ""), split_text)
    # The same check as for a chat. The template writes tools whether or not one may be called.
    chat = {name: served[name] for name in ("messages", "tools") if name in served}
    parsed = parse_request("chat", orjson.dumps(chat | {"model": BASE_NAME, "tool_choice": "none"}))

    def split_chat() -> JsonObject:
        tokenizer = _require_tokenizer()
        prompt = render_chat(parsed)
        if prompt is None:
            raise BadRequest("The base model's chat template rejected these messages.", param="messages")
        # A template writes the special tokens itself.
        encoding = tokenizer.encode(prompt, add_special_tokens=has_special_tokens is True)
        return _describe(encoding, with_texts=with_texts)

    return TokenTask(served.get("model", ""), split_chat)


def parse_detokenize(body: bytes) -> TokenTask:
    """Return the task to put a text together. Raises BadRequest and TooLarge."""
    served = _read(fields.DETOKENIZE, body)
    if "tokens" not in served:
        raise BadRequest("You must provide `tokens`: a list of token ids.", param="tokens")
    token_ids = served["tokens"]

    def join_tokens() -> JsonObject:
        return {"prompt": _require_tokenizer().decode(token_ids, skip_special_tokens=False)}

    return TokenTask(served.get("model", ""), join_tokens)


def describe_tokenizer(max_model_len: int) -> JsonObject:
    """Return the tokenizer's settings as `tokenizer_config.json` names them, and the chat template."""
    _require_tokenizer()
    return base_model.describe_tokenizer() | {"model_max_length": max_model_len}


def _read(table: Table, body: bytes) -> JsonObject:
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(limit_bytes=MAX_BODY_BYTES)
    return read_fields(table, read_json(body))


def _require_tokenizer() -> "Tokenizer":
    tokenizer = base_model.tokenizer()
    if tokenizer is None:
        raise NoTokenizer
    return tokenizer


def _describe(encoding: "Encoding", *, with_texts: bool) -> JsonObject:
    tokens = encoding.ids
    return {"count": len(tokens), "tokens": tokens, "token_strs": encoding.tokens if with_texts else None}
