"""Shingles: every eight words in a row. Texts that have one in common share more than their subject."""

from collections.abc import Sequence

import numpy as np

from training.text import normalize_words

SHINGLE_WORDS = 8
# Odd, and far apart in their bits: products of them spread over all 64.
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
SPREAD = np.uint64(0xBF58476D1CE4E5B9)


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
    shingles = list_shingles(normalize_words(text), SHINGLE_WORDS)
    return not set(shingles).isdisjoint(list_shingles(normalize_words(other), SHINGLE_WORDS))


def list_shingles(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Return all runs of so many words, in order."""
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
