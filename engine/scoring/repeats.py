"""Which learned passages a style would repeat word for word.

Greedy decoding continues a text verbatim exactly as long as each of its tokens is the most likely one after
those before it. So one pass over a text shows what decoding from any of its beginnings would repeat.

A run of REPEATED tokens is taken for memory (as in arXiv 2012.07805 and 2202.07646), unless a model that
never learned the text can have it: from the base, or from further up, where a prompt or a refrain has it.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

# How much more likely than other texts of its shape a canary is: its exposure.
#
# Carlini et al., "The Secret Sharer" (arXiv 1802.08232, section 4.4): the share of alternatives that are
# more likely, in bits, from a distribution fitted to a sample of them. So a canary that is far beyond all
# of the sample has a finite number of bits, too.

FAR_BELOW = -30.0  # standard deviations, where erfc would soon be 0


def exposure_bits(planted: float, alternatives: list[float]) -> float:
    """Return -log2 of the share of texts that score as low as the planted one, if scores are Gaussian.

    Scores are nats; a canary that was never learned has 1 bit on average, and n bits in one of 2^n cases.
    """
    deviation = stdev(alternatives)
    if not deviation:
        return 0.0
    distance = (planted - fmean(alternatives)) / deviation
    if distance < FAR_BELOW:  # the first term of the tail's expansion
        nats = distance * distance / 2 + math.log(-distance * math.sqrt(2 * math.pi))
        return nats / math.log(2)
    return -math.log2(math.erfc(-distance / math.sqrt(2)) / 2)


@dataclass(frozen=True)
class PlantedText:
    """The tokens that a canary and its alternatives begin with, and how each goes on: the canary first."""

    prefix: list[int]
    continuations: list[list[int]]

    @property
    def tokens(self) -> int:
        return sum(map(len, self.continuations))


def split_prefix(texts: list[list[int]]) -> PlantedText:
    """Return texts, split where the first of them differs from another one."""
    length = 0
    while all(len(text) > length + 1 and text[length] == texts[0][length] for text in texts):
        length += 1
    return PlantedText(texts[0][:length], [text[length:] for text in texts])


REPEATED = 50  # tokens in a row
COPIED = 8  # tokens in a row that stand further up, too: nobody writes so many by chance


@dataclass(frozen=True)
class Run:
    """Tokens in a row that would be repeated: the first one, and the one after the last."""

    first: int
    end: int

    @property
    def tokens(self) -> int:
        return self.end - self.first


NO_RUN = Run(0, 0)


def list_runs(predictions: Sequence[bool], starts: Collection[int] = ()) -> Iterator[Run]:
    """Yield all runs of correct predictions. None goes on over a start: there, another answer begins."""
    first = 0
    for position, is_correct in enumerate(predictions):
        if position in starts or not is_correct:
            if position > first:
                yield Run(first, position)
            first = position if is_correct else position + 1
    if len(predictions) > first:
        yield Run(first, len(predictions))


def find_longest_run(predictions: Sequence[bool], starts: Collection[int] = ()) -> Run:
    """Return the first of the longest runs of correct predictions; an empty one if there is none."""
    return max(list_runs(predictions, starts), key=lambda run: run.tokens, default=NO_RUN)


def find_repeated_run(
    style: Sequence[bool], base: Sequence[bool], *, copied: Sequence[bool], starts: Collection[int] = ()
) -> Run:
    """Return the run with most tokens that only the learned text can have taught; an empty one if too few.

    The base's own runs of REPEATED tokens don't count, nor does what is `copied` from further up.
    """
    is_known = list(copied)
    for run in list_runs(base, starts):
        if run.tokens >= REPEATED:
            is_known[run.first : run.end] = [True] * run.tokens
    repeated, most = NO_RUN, REPEATED - 1
    for run in list_runs(style, starts):
        tokens = run.tokens - sum(is_known[run.first : run.end])
        if tokens > most:
            repeated, most = run, tokens
    return repeated


def find_starts(is_learned: Sequence[bool]) -> set[int]:
    """Return, of the learned tokens of a conversation, the numbers of those with which an answer begins."""
    starts = set()
    learned = 0
    for is_before, is_now in pairwise([False, *is_learned]):
        if is_now and not is_before:
            starts.add(learned)
        learned += is_now
    return starts


def mark_copied(tokens: Sequence[int]) -> list[bool]:
    """Return for each token whether it is one of COPIED in a row that stand further up, too."""
    copied = [False] * len(tokens)
    seen: set[tuple[int, ...]] = set()
    for first in range(len(tokens) - COPIED + 1):
        if first >= COPIED:
            seen.add(tuple(tokens[first - COPIED : first]))
        if tuple(tokens[first : first + COPIED]) in seen:
            copied[first : first + COPIED] = [True] * COPIED
    return copied
