"""Words in any script: how many a text has, and which runs of eight it shares with another.

A word is what a writer would count. Scripts without spaces have no such thing: a Chinese or Japanese
character counts as one, as in word processors, and so do five letters of Thai, Lao, Burmese or Khmer.
Whatever else runs on without a space counts as one word per 40 characters: no long text has only a few words.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

SHINGLE_WORDS = 8
CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
SOUTH_EAST_ASIAN = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
# Accents and vowel signs, which \w leaves out: combining marks, Hebrew, Arabic, the scripts of India.
MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u200c\u200d"
LETTERS = rf"[^\W{CJK}{SOUTH_EAST_ASIAN}]{{1,40}}"
WORD = re.compile(
    rf"{LETTERS}(?:(?:[{MARKS}]{{1,8}}|['\u2019-]){LETTERS}){{0,7}}[{MARKS}]{{0,8}}"
    rf"|[{CJK}]"
    rf"|[{SOUTH_EAST_ASIAN}]{{1,5}}"
    r"|(?:[^\w\s]\s*+){40}"
)
# Odd, and far apart in their bits: products of them spread over all 64.
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
SPREAD = np.uint64(0xBF58476D1CE4E5B9)


def count_words(text: str) -> int:
    """Return the number of words in `text`."""
    return len(WORD.findall(text))


def normalize_word(word: str) -> str:
    """Return the form in which words are compared: one case, one kind of apostrophe, composed letters."""
    return unicodedata.normalize("NFKC", word).casefold().replace("\u2019", "'")


def normalize_words(text: str) -> list[str]:
    """Return the words of `text` as they are compared."""
    return [normalize_word(word) for word in WORD.findall(text)]


def hash_shingles(word_numbers: Sequence[int]) -> list[int]:
    """Return one 64-bit hash for each run of SHINGLE_WORDS words, in order.

    Equal numbers mean equal words. All sums are taken modulo 2⁶⁴, so every machine gets the same.
    """
    windows = len(word_numbers) - SHINGLE_WORDS + 1
    if windows <= 0:
        return []
    numbers = np.asarray(word_numbers, dtype=np.uint64) + np.uint64(1)
    spread = numbers * SPREAD
    spread ^= spread >> np.uint64(31)
    total = np.zeros(windows, dtype=np.uint64)
    for offset in range(SHINGLE_WORDS):
        total = total * MULTIPLIER + spread[offset : offset + windows]
    hashes: list[int] = total.tolist()
    return hashes


def shares_shingle(text: str, other: str) -> bool:
    """Return whether eight words in a row are in both texts, whatever their case and punctuation."""
    return not _shingles(text).isdisjoint(_shingles(other))


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = normalize_words(text)
    starts = range(len(words) - SHINGLE_WORDS + 1)
    return {tuple(words[start : start + SHINGLE_WORDS]) for start in starts}
