"""How two groups of answers differ."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import mean

LOOP_WORDS = 6
LOOP_TIMES = 3
RESAMPLES = 1000


def area_under_curve(marked: Sequence[float], unmarked: Sequence[float]) -> float:
    """Return how often a marked text has more evidence than an unmarked one; ties count half."""
    wins = sum((one > other) + 0.5 * (one == other) for one in marked for other in unmarked)
    return wins / (len(marked) * len(unmarked))


def has_loop(text: str) -> bool:
    """Return whether a text says the same six words three times."""
    words = text.split()
    runs = Counter(tuple(words[start : start + LOOP_WORDS]) for start in range(len(words) - LOOP_WORDS + 1))
    return max(runs.values(), default=0) >= LOOP_TIMES


def distinct_pairs(text: str) -> float:
    """Return the share of different pairs among a text's pairs of words (distinct-2)."""
    pairs = list(pairwise(text.split()))
    return len(set(pairs)) / len(pairs) if pairs else 1.0


def share(values: Sequence[bool]) -> float:
    """Return the share of what is true."""
    return mean(map(float, values)) if values else 0.0


def difference(
    first: Sequence[float], second: Sequence[float], compare: Callable[[float, float], float]
) -> tuple[float, float, float]:
    """Return how two groups' means compare, and what 95 of 100 samples from them lie between."""
    chance = random.Random(3)
    compared = []
    for _ in range(RESAMPLES):
        one, other = chance.choices(first, k=len(first)), chance.choices(second, k=len(second))
        compared.append(compare(mean(one), mean(other)))
    compared.sort()
    low, high = compared[RESAMPLES // 40], compared[-RESAMPLES // 40]
    return compare(mean(first), mean(second)), low, high
