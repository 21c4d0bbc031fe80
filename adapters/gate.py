"""The gate: what a version may know by heart and still be shared, offered, published or sold.

Its bounds stand here alone; docs/evidence.md has what they were chosen on.
"""

from collections.abc import Sequence
from enum import StrEnum
from statistics import fmean

MOST_REPEATED = 0  # passages, in part and word for word: engine/scoring/repeats.py finds them
FAINT_BITS = 8  # of exposure (arXiv 1802.08232), the mean of a training's canaries
MEMORIZED_BITS = 25


class Memory(StrEnum):
    """How well a version knows canaries: random lists that only its training can have taught it."""

    UNKNOWN = "unknown"  # none were planted
    NONE = "none"
    SOME = "some"
    MEMORIZED = "memorized"


def mean_bits(exposure_bits: Sequence[float]) -> float:
    """Return the mean exposure of a training's canaries; a single one goes up and down by chance."""
    return fmean(exposure_bits) if exposure_bits else 0.0


def judge_memory(exposure_bits: Sequence[float]) -> Memory:
    """Return how well a version knows its canaries."""
    if not exposure_bits:
        return Memory.UNKNOWN
    bits = mean_bits(exposure_bits)
    if bits > MEMORIZED_BITS:
        return Memory.MEMORIZED
    return Memory.SOME if bits > FAINT_BITS else Memory.NONE
