"""Which learned passages a style would repeat word for word.

Greedy decoding continues a text verbatim exactly as long as each of its tokens is the most likely one after
those before it. So one pass over a text shows what decoding from any of its beginnings would repeat.
"""

from collections.abc import Sequence
from dataclasses import dataclass

PREFIX = 32  # tokens that are given
EXTRACTED = 32  # tokens that follow verbatim (as in arXiv 2012.07805 and 2202.07646, at their scale 50)


@dataclass(frozen=True)
class Run:
    """Tokens in a row that would be repeated: the first one, and the one after the last."""

    first: int
    end: int

    @property
    def tokens(self) -> int:
        return self.end - self.first


def find_longest_run(predictions: Sequence[bool]) -> Run:
    """Return the first of the longest runs of correct predictions; an empty one if there is none."""
    longest = Run(0, 0)
    first = 0
    for position, is_correct in enumerate(predictions):
        if not is_correct:
            first = position + 1
        elif position + 1 - first > longest.tokens:
            longest = Run(first, position + 1)
    return longest


def is_long_enough(predictions: Sequence[bool]) -> bool:
    """Return whether an example has a beginning and enough tokens after it."""
    return len(predictions) >= PREFIX + EXTRACTED


def is_extracted(predictions: Sequence[bool]) -> bool:
    """Return whether the beginning of an example is continued verbatim."""
    return is_long_enough(predictions) and all(predictions[PREFIX : PREFIX + EXTRACTED])
