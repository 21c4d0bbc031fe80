"""What a prompt's length alone proves about its tokens, before any tokenizer reads it."""

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from inference.contract.requests import ParsedRequest

SHORT_BYTES = 16 * 1024  # a body up to here is not measured: any tokenizer is through with it in milliseconds
KEEPS_TEXT = {"ByteLevel", "Digits", "Metaspace", "Split"}  # pre-tokenizers that drop no character
LENGTHENS = {"Prepend", "Replace"}  # normalizers


class Size(NamedTuple):
    """How long a text is in bytes, and how long if each byte that repeats the one before is left out.

    The longest tokens of vocabularies are rules and indents, one character many times: without repetitions an
    ordinary text proves three times as many tokens.
    """

    whole: int
    without_repeats: int


NOTHING = Size(0, 0)


def min_tokens(parsed: ParsedRequest, longest_token: Size) -> int:
    """Return a lower bound of the prompt's tokens, of the longest prompt where there are several.

    No token stands for more than the vocabulary's longest. 0 where that proves nothing.
    """
    if longest_token == NOTHING or parsed.body_bytes <= SHORT_BYTES:
        return 0
    if parsed.kind == "text":
        return max(_least_of(prompt, longest_token) for prompt in parsed.prompts())
    sizes = [_size_of(message.get("content")) for message in parsed.fields["messages"]]
    return _least(_sum(sizes), longest_token)


def _least_of(prompt: str | list[int], longest_token: Size) -> int:
    return len(prompt) if isinstance(prompt, list) else _least(_size_of(prompt), longest_token)


def _least(size: Size, longest_token: Size) -> int:
    by_whole = -(-size.whole // longest_token.whole)
    return max(by_whole, -(-size.without_repeats // longest_token.without_repeats))


def _sum(sizes: list[Size]) -> Size:
    return Size(sum(size.whole for size in sizes), sum(size.without_repeats for size in sizes))


def _size_of(content: Any) -> Size:
    """Return the size of a message's text; without its ends, which chat templates may trim."""
    if isinstance(content, list):
        return _sum([_size_of(part.get("text")) for part in content if isinstance(part, dict)])
    return size_of(content.strip().encode(errors="replace")) if isinstance(content, str) else NOTHING


def size_of(text: bytes) -> Size:
    """Return a text's size, in milliseconds also for megabytes."""
    number = int.from_bytes(text)
    changes = number ^ (number >> 8)  # a byte that repeats the one before becomes 0
    return Size(len(text), len(text) - changes.to_bytes(len(text)).count(0))


@cache
def longest_token(tokenizer_file: Path) -> Size:
    """Return how much text the longest token of a vocabulary stands for, by either measure.

    NOTHING where that can't be told: there is no such file, or its tokenizer may shorten the text first.
    """
    if not tokenizer_file.exists():
        return NOTHING
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
        return NOTHING
    # A byte-level vocabulary writes each byte as one character.
    sizes = [_size_of_token(token, is_byte_level=is_byte_level) for token in model["vocab"]]
    sizes += [size_of(token["content"].encode()) for token in added]
    return Size(max(size.whole for size in sizes), max(size.without_repeats for size in sizes))


def _size_of_token(token: str, *, is_byte_level: bool) -> Size:
    if not is_byte_level:
        return size_of(token.encode())
    repeats = sum(a == b for a, b in pairwise(token))
    return Size(len(token), len(token) - repeats)


def _steps(part: dict[str, Any] | None, inner: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    return part[inner] if part["type"] == "Sequence" else [part]


def _lengthens(step: dict[str, Any]) -> bool:
    if step["type"] == "Replace":
        pattern = step.get("pattern", {}).get("String", "")
        return 0 < len(pattern.encode()) <= len(step.get("content", "").encode())
    return step["type"] in LENGTHENS
