"""Features of a text: character 3- to 5-grams, hashed into buckets, and each one's share of the text.

Numbers alone leave this module: a bucket stands for dozens of n-grams, so no text can be read from it. With
buckets no vocabulary has to be chosen, shipped or stored with a verifier. Measured in November 2026: 32,768
buckets do as well as a vocabulary of the 50,000 most common n-grams.

What belongs to an edition and not to a writer is folded: case, accents, digits, runs of dashes and white
space, the kinds of quotation marks. So are names, where capitals show them: a new book has new characters
(AUC at 100 words rises by 0.011).
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

BUCKETS = 32_768
BUCKET_BITS = 15
WINDOW_CHARACTERS = 1_300  # of a passage of some 230 words: longer texts are the mean of such windows
SYMBOL_BITS = 6
SHORTEST_GRAM, LONGEST_GRAM = 3, 5
HASH_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth's multiplicative hashing

SPACE, NAME, DASH, QUOTE, APOSTROPHE, FULL_STOP, DIGIT, FIRST_LETTER = range(1, 9)
LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß"
FOLDED = {
    DASH: "-\u2010\u2011\u2012\u2013\u2014\u2015",
    QUOTE: "\"'`\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a",
    FULL_STOP: ".\u2026",
    DIGIT: "0123456789",
}
OTHER_MARKS = ",;:!?()"
COLLAPSED = (SPACE, NAME, DASH, QUOTE, FULL_STOP)
KNOWN_CODE_POINTS = 0x2100  # Latin, Greek, Cyrillic and general punctuation; what lies beyond is a space

# Capitals within a sentence, but for "I". German writes all its nouns so: there they show nothing.
NAMES = {"en": re.compile(r"(?:(?<=\w )|(?<=\w, ))[A-Z]\w+(?:['\u2019]s\b)?")}
NAME_FILLER = "\uffff"


@dataclass(frozen=True)
class Grams:
    """The n-grams of a text: arrays of one length, in no particular order.

    `starts` are positions in the text, `buckets` are below BUCKETS, and `shares` sum up to 1 (0 without any).
    """

    starts: NDArray[np.int64]
    buckets: NDArray[np.int64]
    shares: NDArray[np.float64]


def find_grams(text: str, language: str) -> Grams:
    """Return the n-grams of a text in this language (ISO 639-1).

    An n-gram that comes often counts less each time (the logarithm of 1 + its number, within a window).
    """
    symbols, positions = _fold(text, language)
    buckets = _hash_grams(symbols)
    if not len(buckets):
        return Grams(np.zeros(0, np.int64), buckets, np.zeros(0))
    starts = np.concatenate([np.arange(len(symbols) - size + 1) for size in _sizes(symbols)])
    window_count = max(1, round(len(symbols) / WINDOW_CHARACTERS))
    windows = starts * window_count // len(symbols)
    _, which, counts = np.unique(windows * BUCKETS + buckets, return_inverse=True, return_counts=True)
    damped = np.log1p(counts) / counts
    shares = damped[which]
    totals = np.bincount(windows, shares, window_count)
    return Grams(positions[starts], buckets, shares / totals[windows] / window_count)


def measure_features(text: str, language: str) -> NDArray[np.float32]:
    """Return a text's features: one share a bucket, all together 1 (0 of a text without three characters)."""
    grams = find_grams(text, language)
    return np.bincount(grams.buckets, grams.shares, BUCKETS).astype(np.float32)


def measure_passages(texts: list[str], language: str) -> NDArray[np.float32]:
    """Return the features of texts, one row each."""
    return np.stack([measure_features(text, language) for text in texts])


def _sizes(symbols: NDArray[np.uint64]) -> range:
    return range(SHORTEST_GRAM, min(LONGEST_GRAM, len(symbols)) + 1)


def _hash_grams(symbols: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the buckets of all 3-grams, then of all 4-grams, then of all 5-grams."""
    hashed = [np.zeros(0, np.uint64)]
    codes = symbols
    for size in range(2, LONGEST_GRAM + 1):
        codes = (codes[:-1] << np.uint64(SYMBOL_BITS)) | symbols[size - 1 :]
        if size >= SHORTEST_GRAM:
            hashed.append((codes * HASH_MULTIPLIER) >> np.uint64(64 - BUCKET_BITS))
    return np.concatenate(hashed).astype(np.int64)


def _fold(text: str, language: str) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return a text in the small alphabet, and each symbol's position in the text."""
    if language in NAMES:
        text = NAMES[language].sub(lambda name: NAME_FILLER * len(name.group()), text)
    code_points = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    symbols = np.where(
        code_points == ord(NAME_FILLER), NAME, _alphabet()[np.minimum(code_points, KNOWN_CODE_POINTS)]
    )
    is_letter = (symbols >= FIRST_LETTER) & (symbols < FIRST_LETTER + len(LETTERS))
    inside_word = np.zeros(len(symbols), bool)
    inside_word[1:-1] = is_letter[:-2] & is_letter[2:]
    symbols[inside_word & (symbols == QUOTE)] = APOSTROPHE
    is_new = np.ones(len(symbols), bool)
    is_new[1:] = (symbols[1:] != symbols[:-1]) | ~np.isin(symbols[1:], COLLAPSED)
    positions = np.flatnonzero(is_new)
    return symbols[positions].astype(np.uint64), positions


@cache
def _alphabet() -> NDArray[np.int64]:
    """Return the symbol of each code point; the last is for all those beyond."""
    symbol_of = {letter: FIRST_LETTER + number for number, letter in enumerate(LETTERS)}
    for symbol, characters in FOLDED.items():
        symbol_of |= dict.fromkeys(characters, symbol)
    first_mark = FIRST_LETTER + len(LETTERS)
    symbol_of |= {mark: first_mark + number for number, mark in enumerate(OTHER_MARKS)}
    table = np.full(KNOWN_CODE_POINTS + 1, SPACE, np.int64)
    for code_point in range(KNOWN_CODE_POINTS):
        character = chr(code_point).lower()[0]
        plain = unicodedata.normalize("NFD", character)[0]
        table[code_point] = symbol_of.get(character, symbol_of.get(plain, SPACE))
    return table
