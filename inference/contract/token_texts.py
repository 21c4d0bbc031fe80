"""Texts as token ids, and back: the requests of vLLM's `/tokenize` and `/detokenize`, and their answers.

All styles share the base model's tokenizer, so a request need not name one. Benchmarks and evaluations ask:
`vllm bench serve`, and lm-eval with `tokenizer_backend=remote`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from inference.contract import base_model, fields
from inference.contract.field_reader import Table, read_fields
from inference.contract.requests import parse_request, read_json
from inference.contract.route import BASE_NAME
from inference.contract.tokenizer import render_chat
from inference.errors import BadRequest, NoTokenizer, TooLarge
from inference.facts import JsonObject

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

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
