"""What a prompt's length alone proves about its tokens, before any tokenizer reads it."""

from functools import cache
from pathlib import Path
from typing import Any

import orjson

from inference.schemas import Asked

SHORT_BYTES = 16 * 1024  # a body up to here is not measured: any tokenizer is through with it in milliseconds
KEEPS_TEXT = {"ByteLevel", "Digits", "Metaspace", "Split"}  # pre-tokenizers that drop no character
LENGTHENS = {"Prepend", "Replace"}  # normalizers


def least_tokens(asked: Asked, longest_token_bytes: int) -> int:
    """Return a lower bound of the prompt's tokens, of the longest prompt where there are several.

    No token stands for more bytes than the vocabulary's longest. 0 where that proves nothing.
    """
    if not longest_token_bytes or asked.body_bytes <= SHORT_BYTES:
        return 0
    if asked.kind == "text":
        return max(_least_of(prompt, longest_token_bytes) for prompt in asked.prompts())
    size = sum(_bytes_of(message.get("content")) for message in asked.fields["messages"])
    return -(-size // longest_token_bytes)


def _least_of(prompt: str | list[int], longest_token_bytes: int) -> int:
    return len(prompt) if isinstance(prompt, list) else -(-_bytes_of(prompt) // longest_token_bytes)


def _bytes_of(content: Any) -> int:
    """Return the bytes of a message's text; without its ends, which chat templates may trim."""
    if isinstance(content, list):
        return sum(_bytes_of(part.get("text")) for part in content if isinstance(part, dict))
    return len(content.strip().encode(errors="replace")) if isinstance(content, str) else 0


@cache
def longest_token_bytes(tokenizer_file: Path) -> int:
    """Return how many bytes of text the longest token of a vocabulary stands for.

    0 where that can't be told: there is no such file, or its tokenizer may shorten the text first.
    """
    if not tokenizer_file.exists():
        return 0
    tokenizer = orjson.loads(tokenizer_file.read_bytes())
    model, added = tokenizer["model"], tokenizer.get("added_tokens") or []
    splits = _steps(tokenizer.get("pre_tokenizer"), "pretokenizers")
    is_byte_level = any(step["type"] == "ByteLevel" for step in splits)
    is_plain = (
        model["type"] == "BPE"
        and (is_byte_level or model.get("byte_fallback"))  # else all that is unknown may become one token
        and all(step["type"] in KEEPS_TEXT and step.get("behavior") != "Removed" for step in splits)
        and all(_lengthens(step) for step in _steps(tokenizer.get("normalizer"), "normalizers"))
        and not any(token.get("lstrip") or token.get("rstrip") for token in added)
    )
    if not is_plain:
        return 0
    # A byte-level vocabulary writes each byte as one character.
    sizes = [len(token) if is_byte_level else len(token.encode()) for token in model["vocab"]]
    return max(sizes + [len(token["content"].encode()) for token in added])


def _steps(part: dict[str, Any] | None, inner: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    return part[inner] if part["type"] == "Sequence" else [part]


def _lengthens(step: dict[str, Any]) -> bool:
    if step["type"] == "Replace":
        pattern = step.get("pattern", {}).get("String", "")
        return 0 < len(pattern.encode()) <= len(step.get("content", "").encode())
    return step["type"] in LENGTHENS
