"""Find the watermark in a text's tokens: how much more of a key's noise they have than chance leaves there.

Each token adds -log(1 - u), u being its noise after the four tokens before it. Without the mark u is uniform,
so the sum over n tokens has the distribution Gamma(n, 1), and the p-value is its upper tail. A context counts
once: a repeated one has the same noise again and is no further evidence. This is vLLM's detector
(`GumbelWatermarkDetector` with deduplicate_contexts) without torch.

A text may begin in the middle of an answer, or mix answers with other words: only tokens whose four
predecessors are whole have evidence, and all others behave like any text.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

# Keyed noise of tokens, bit-equal to vLLM's Philox4x32-10: Salmon et al., "Parallel random numbers: as
# easy as 1, 2, 3" (https://doi.org/10.1145/2063384.2063405); the words that go in are those of
# `vllm/v1/watermarking/prfs/philox.py`.
CONTEXT_TOKENS = 4  # engine/serve.py's context_width
ROUNDS = 10
MASK = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
CONTEXT_DOMAIN = 0x574D4358
TOKEN_DOMAIN = 0x574D544B

type Words = NDArray[np.uint64]
type Block = tuple[Words, Words, Words, Words]


def draw_uniform(key: int, contexts: NDArray[np.int64], tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return a number between 0 and 1 for each token after its context.

    `contexts` has a row of four tokens for each of `tokens`; -1 stands for what is before the first one.
    """
    words = contexts.astype(np.uint64) & MASK
    key_words = (np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32))
    state = _philox(
        (
            words[:, 0] ^ np.uint64(CONTEXT_DOMAIN),
            words[:, 1] ^ np.uint64(CONTEXT_TOKENS),
            words[:, 2],
            words[:, 3],
        ),
        (np.full(len(words), key_words[0]), np.full(len(words), key_words[1])),
    )
    token_words = tokens.astype(np.uint64) & MASK
    outputs = _philox(
        (token_words >> np.uint64(2), state[0], state[1], state[2]),
        (key_words[0] ^ state[3], np.full(len(words), key_words[1] ^ np.uint64(TOKEN_DOMAIN))),
    )
    chosen = np.choose((token_words & np.uint64(3)).astype(np.intp), outputs)
    return (((chosen >> np.uint64(8)).astype(np.float64) + 1.0) / (2**24 + 1)).astype(np.float32)


def _philox(counter: Block, key: tuple[Words, Words]) -> Block:
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0 = c0 * MULTIPLIERS[0]
        product1 = c2 * MULTIPLIERS[1]
        c0 = (product1 >> HALF) ^ c1 ^ k0
        c1 = product1 & MASK
        c2 = (product0 >> HALF) ^ c3 ^ k1
        c3 = product0 & MASK
        k0 = (k0 + np.uint64(KEY_STEPS[0])) & MASK
        k1 = (k1 + np.uint64(KEY_STEPS[1])) & MASK
    return c0, c1, c2, c3


# Measured on 10,000 human passages and 1,000 template texts: docs/provenance.md.
MOST_P_VALUE = 1e-4
# A shorter text without the mark proves nothing: at a temperature of 0.4, a marked one has about 0.35 above
# chance per token, and it takes 300 to 400 tokens until 95 of 100 such texts reach MOST_P_VALUE.
ENOUGH_TOKENS = 400
# At a temperature of 0.7, nearly all marked texts of that length are found.
USUALLY_FOUND_TOKENS = 100

type Span = tuple[int, int]


@dataclass(frozen=True)
class Detection:
    """The evidence for a key: its sum, how probable that much is without the mark, and of how many tokens."""

    score: float
    p_value: float
    scored_tokens: int


class Verdict(StrEnum):
    """What the evidence says."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    TOO_SHORT = "too_short"


@dataclass(frozen=True)
class Finding:
    """The evidence for the key that has most of it; p-values are corrected for the number of tests."""

    verdict: Verdict
    epoch: int
    p_value: float
    scored_tokens: int
    spans: tuple[Detection, ...]


def detect(token_ids: Sequence[int], key: int) -> Detection:
    """Return the evidence that tokens were drawn with a key."""
    return sum_up(count_tokens(token_ids).weigh(key))


def examine(token_ids: Sequence[int], keys: Mapping[int, int], *, spans: Sequence[Span] = ()) -> Finding:
    """Return what the tokens of a text say, with `keys` as epoch → key, at least one.

    `spans` are parts of the text, such as its paragraphs, by the places of their first token and of the one
    after their last. Each has its own evidence; its p-value is corrected for the number of spans, too.
    """
    counted = count_tokens(token_ids)
    evidence_of = {epoch: counted.weigh(key) for epoch, key in keys.items()}
    whole = {epoch: sum_up(evidence) for epoch, evidence in evidence_of.items()}
    epoch = min(whole, key=lambda one: (whole[one].p_value, -whole[one].score))
    evidence, places = evidence_of[epoch], counted.places
    parts = []
    for start, stop in spans:
        part = sum_up(evidence[(places >= start) & (places < stop)])
        p_value = min(1.0, part.p_value * len(keys) * len(spans))
        parts.append(Detection(part.score, p_value, part.scored_tokens))
    found = whole[epoch]
    p_value = min(1.0, found.p_value * len(keys))
    return Finding(judge(p_value, found.scored_tokens), epoch, p_value, found.scored_tokens, tuple(parts))


def judge(p_value: float, scored_tokens: int) -> Verdict:
    """Return what a corrected p-value says of so many tokens."""
    if p_value <= MOST_P_VALUE:
        return Verdict.FOUND
    return Verdict.NOT_FOUND if scored_tokens >= ENOUGH_TOKENS else Verdict.TOO_SHORT


@dataclass(frozen=True)
class CountedTokens:
    """The tokens of a text that count, their places in it, and the four tokens before each."""

    places: NDArray[np.intp]
    contexts: NDArray[np.int64]
    tokens: NDArray[np.int64]

    def weigh(self, key: int) -> NDArray[np.float64]:
        """Return each token's evidence for a key."""
        return -np.log1p(-draw_uniform(key, self.contexts, self.tokens).astype(np.float64))


def count_tokens(token_ids: Sequence[int]) -> CountedTokens:
    """Return a text's tokens but for those whose context was there before."""
    before = np.full(CONTEXT_TOKENS, -1, np.int64)
    tokens = np.asarray(token_ids, np.int64)
    contexts = sliding_window_view(np.concatenate([before, tokens]), CONTEXT_TOKENS)[: len(tokens)]
    first_places: dict[bytes, int] = {}
    for place, context in enumerate(contexts):
        first_places.setdefault(context.tobytes(), place)
    places = np.fromiter(first_places.values(), np.intp, len(first_places))
    return CountedTokens(places, contexts[places], tokens[places])


def sum_up(evidence: NDArray[np.float64]) -> Detection:
    """Return the sum of independent tokens' evidence, and its p-value."""
    score = float(evidence.sum())
    return Detection(score, gamma_survival(score, len(evidence)), len(evidence))


def gamma_survival(score: float, shape: int) -> float:
    """Return how probable it is that a Gamma(shape, 1) variable is above `score`; `shape` is whole."""
    if shape <= 0 or score <= 0:
        return 1.0
    # exp(-score) times the sum of score^i / i! for i below shape: by logarithms, as the terms overflow.
    steps = math.log(score) - np.log(np.arange(1, shape))
    terms = np.concatenate([np.zeros(1), np.cumsum(steps)])
    largest = terms.max()
    log_sum = largest + math.log(np.exp(terms - largest).sum())
    return min(1.0, math.exp(min(0.0, float(log_sum) - score)))
