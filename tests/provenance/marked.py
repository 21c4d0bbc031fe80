"""Texts of a small vocabulary, drawn with a watermark's noise as an engine draws them, and their tokens."""

import re

import numpy as np

from provenance.watermark.detector import CONTEXT_TOKENS, draw_uniform

KEY = 0x0123456789ABCDEF
ENDS = ("an", "el", "in", "or", "us", "ab", "ed", "ot")
WORDS = [first + last for first in "bcdfghjklmnprstv" for last in ENDS]
PLACES = {word: place for place, word in enumerate(WORDS)}


def encode(text):
    """Each known word is a token."""
    found = [match for match in re.finditer(r"\w+", text) if match[0] in PLACES]
    return [PLACES[match[0]] for match in found], [match.span() for match in found]


def write(count, *, key=KEY, seed=1, choices=8):
    """So many words, each the one of some candidates that has the most noise; without a key, any."""
    random = np.random.default_rng(seed)
    tokens = []
    for _ in range(count):
        candidates = random.choice(len(WORDS), size=choices, replace=False)
        if key is None:
            tokens.append(int(candidates[0]))
            continue
        context = ([-1] * CONTEXT_TOKENS + tokens)[-CONTEXT_TOKENS:]
        noise = draw_uniform(key, np.array([context] * choices), candidates.astype(np.int64))
        tokens.append(int(candidates[noise.argmax()]))
    return " ".join(WORDS[token] for token in tokens)
