"""How well answers keep to their briefs: do they have the brief's words, more than those of other briefs?"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adapters.evidence.figures import KEPT_SHARE, Briefs, Interval

WORD = re.compile(r"[^\W\d_]{4,}")
STEM_LETTERS = 6  # "gardens" and "gardening" count as "garden"
LEAST_BRIEFS = 5  # different ones: from fewer, no interval means anything
DRAWS = 2_000
TAIL_PERCENT = 5  # on each side of a 90 % interval


def compare_briefs(
    briefs: Sequence[str], style_answers: Sequence[str], base_answers: Sequence[str], *, seed: int
) -> Briefs:
    """Return how well a style's and the base's answers to the same briefs keep to them.

    A bootstrap draws briefs, with all their answers: one that comes twice is no second witness. Without
    LEAST_BRIEFS different ones there are no intervals. The same seed gives the same intervals.
    """
    style = np.array(measure_briefs(briefs, style_answers))
    base = np.array(measure_briefs(briefs, base_answers))
    if not len(style):
        return Briefs(style=0.0, base=0.0)
    means = Briefs(style=float(style.mean()), base=float(base.mean()))
    if len(style) < LEAST_BRIEFS:
        return means
    drawn = np.random.default_rng(seed).integers(len(style), size=(DRAWS, len(style)))
    return Briefs(
        means.style,
        means.base,
        style_interval=_interval(style, drawn),
        base_interval=_interval(base, drawn),
        margin=_interval(style - KEPT_SHARE * base, drawn),
    )


def measure_briefs(briefs: Sequence[str], answers: Sequence[str]) -> list[float]:
    """Return, for each different brief, the share of its words in its answers, less that in others' answers.

    0: the answers have nothing to do with their briefs. Words that most briefs have are the template's.
    Briefs without words of their own are left out.
    """
    stems = _without_common([_find_stems(brief) for brief in briefs])
    answered = [_find_stems(answer) for answer in answers]
    found = []
    for brief in dict.fromkeys(frozenset(stem) for stem in stems if stem):
        own: list[float] = []
        others: list[float] = []
        for other, answer in zip(stems, answered, strict=True):
            (own if other == brief else others).append(len(brief & answer) / len(brief))
        found.append(float(np.mean(own) - (np.mean(others) if others else 0.0)))
    return found


def _interval(values: NDArray[np.float64], drawn: NDArray[np.int64]) -> Interval:
    low, high = np.percentile(values[drawn].mean(axis=1), [TAIL_PERCENT, 100 - TAIL_PERCENT])
    return Interval(float(values.mean()), float(low), float(high))


def _find_stems(text: str) -> set[str]:
    return {word[:STEM_LETTERS].lower() for word in WORD.findall(text)}


def _without_common(briefs: list[set[str]]) -> list[set[str]]:
    distinct = {frozenset(brief) for brief in briefs}
    if len(distinct) < 3:
        return briefs
    counts: dict[str, int] = {}
    for brief in distinct:
        for stem in brief:
            counts[stem] = counts.get(stem, 0) + 1
    common = {stem for stem, count in counts.items() if count > len(distinct) / 3}
    return [brief - common for brief in briefs]
