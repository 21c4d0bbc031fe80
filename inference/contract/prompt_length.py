"""A lower bound of a prompt's tokens, from its length alone, before any tokenizer reads it."""

import math
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import orjson

from inference.contract import base_model
from inference.contract.requests import ParsedRequest
from inference.facts import JsonObject

SHORT_BYTES = 16 * 1024  # a body up to here is not measured: any tokenizer reads it in milliseconds
LOSSLESS_PRE_TOKENIZERS = {"ByteLevel", "Digits", "Metaspace", "Split"}
LENGTHENING_NORMALIZERS = {"Prepend", "Replace"}


class Size(NamedTuple):
    """The length of a text in bytes, and its length without each byte that repeats the byte before.

    The longest tokens of vocabularies are rules and indents: one character, many times. Counted without
    repetitions, an ordinary text proves three times as many tokens.
    """

    whole: int
    without_repeats: int


NOTHING = Size(0, 0)


def min_tokens(parsed: ParsedRequest, longest_token: Size) -> int:
    """Return a lower bound of the prompt's tokens; of the longest prompt where there are several.

    No token stands for more text than the vocabulary's longest token. 0 where that proves nothing.
    """
    if longest_token == NOTHING or parsed.body_bytes <= SHORT_BYTES:
        return 0
    if parsed.kind == "text":
        return max(_min_tokens_of_prompt(prompt, longest_token) for prompt in parsed.prompts())
    keeps_blanks = base_model.keeps_blanks()
    sizes = []
    for message in parsed.fields["messages"]:
        sizes.append(_size_of_content(message.get("content"), keeps_blanks=keeps_blanks))
    return _divide(_add(sizes), longest_token)


def _min_tokens_of_prompt(prompt: str | list[int], longest_token: Size) -> int:
    if isinstance(prompt, list):
        return len(prompt)
    return _divide(_size_of_content(prompt, keeps_blanks=True), longest_token)


def _divide(size: Size, longest_token: Size) -> int:
    """Return how many tokens a text has at least, by the measure that proves more."""
    by_whole = math.ceil(size.whole / longest_token.whole)
    by_changes = math.ceil(size.without_repeats / longest_token.without_repeats)
    return max(by_whole, by_changes)


def _add(sizes: list[Size]) -> Size:
    whole = 0
    without_repeats = 0
    for size in sizes:
        whole += size.whole
        without_repeats += size.without_repeats
    return Size(whole, without_repeats)


def _size_of_content(content: object, *, keeps_blanks: bool) -> Size:
    """Return the size of a text, without the blanks at its ends where a template may take them away."""
    if not isinstance(content, str):
        return NOTHING
    text = content if keeps_blanks else content.strip()
    return size_of(text.encode(errors="replace"))


def size_of(text: bytes) -> Size:
    """Return a text's size. Whole-number arithmetic takes milliseconds even for megabytes."""
    number = int.from_bytes(text)
    changes = number ^ (number >> 8)  # a byte that repeats the byte before becomes 0
    repeats = changes.to_bytes(len(text)).count(0)
    return Size(len(text), len(text) - repeats)


@cache
def longest_token(tokenizer_file: Path) -> Size:
    """Return how much text the longest token of a vocabulary stands for, by either measure.

    NOTHING where that is unknown: there is no such file, or its tokenizer may shorten the text.
    """
    if not tokenizer_file.exists():
        return NOTHING
    tokenizer = orjson.loads(tokenizer_file.read_bytes())
    if not _keeps_text(tokenizer):
        return NOTHING
    whole = 0
    without_repeats = 0
    for size in _sizes_of_tokens(tokenizer):
        whole = max(whole, size.whole)
        without_repeats = max(without_repeats, size.without_repeats)
    return Size(whole, without_repeats)


def _sizes_of_tokens(tokenizer: JsonObject) -> Iterator[Size]:
    is_byte_level = _is_byte_level(tokenizer)
    for token in tokenizer["model"]["vocab"]:
        yield _size_of_token(token, is_byte_level=is_byte_level)
    for token in tokenizer.get("added_tokens") or []:
        yield size_of(token["content"].encode())


def _keeps_text(tokenizer: JsonObject) -> bool:
    """Return whether the tokenizer drops no character before or while it splits a text into tokens."""
    model = tokenizer["model"]
    if model["type"] != "BPE":
        return False
    if not (_is_byte_level(tokenizer) or model.get("byte_fallback")):
        return False  # any unknown text may become one token
    pre_tokenizers = _steps(tokenizer.get("pre_tokenizer"), "pretokenizers")
    normalizers = _steps(tokenizer.get("normalizer"), "normalizers")
    added_tokens = tokenizer.get("added_tokens") or []
    return (
        all(map(_is_lossless, pre_tokenizers))
        and all(map(_lengthens, normalizers))
        and not any(map(_strips_blanks, added_tokens))
    )


def _is_lossless(pre_tokenizer: JsonObject) -> bool:
    return pre_tokenizer["type"] in LOSSLESS_PRE_TOKENIZERS and pre_tokenizer.get("behavior") != "Removed"


def _strips_blanks(token: JsonObject) -> bool:
    return bool(token.get("lstrip") or token.get("rstrip"))


def _is_byte_level(tokenizer: JsonObject) -> bool:
    pre_tokenizers = _steps(tokenizer.get("pre_tokenizer"), "pretokenizers")
    return any(step["type"] == "ByteLevel" for step in pre_tokenizers)


def _steps(part: JsonObject | None, inner: str) -> list[JsonObject]:
    """Return the steps of a part of a tokenizer, which is one step or a sequence of them."""
    if part is None:
        return []
    return part[inner] if part["type"] == "Sequence" else [part]


def _lengthens(normalizer: JsonObject) -> bool:
    if normalizer["type"] == "Replace":
        pattern = normalizer.get("pattern", {}).get("String", "")
        return 0 < len(pattern.encode()) <= len(normalizer.get("content", "").encode())
    return normalizer["type"] in LENGTHENING_NORMALIZERS


def _size_of_token(token: str, *, is_byte_level: bool) -> Size:
    if not is_byte_level:
        return size_of(token.encode())
    # A byte-level vocabulary writes each byte as one character.
    repeats = sum(a == b for a, b in pairwise(token))
    return Size(len(token), len(token) - repeats)
