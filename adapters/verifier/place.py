"""A place on the way from a floor to a ceiling, with an interval: no score is shown without both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adapters.verifier.errors import CeilingTooLow

DRAWS = 2_000
COVERAGE_PERCENT = 90
LEAST_WAYS_PERCENT = 99  # of the draws: a few short texts vary widely


@dataclass(frozen=True)
class Place:
    """A share of the way from floor (0) to ceiling (1), and a 90 % interval. Not clamped."""

    share: float
    low: float
    high: float


def place_between(
    answers: Sequence[float], floor: Sequence[float], ceiling: Sequence[float], *, seed: int
) -> Place:
    """Return where the mean of `answers` lies between the means of `floor` and `ceiling`.

    `answers` and `floor` are scores of answers to the same briefs, in one order: a bootstrap draws briefs,
    and the texts of the ceiling on their own (percentile method, 2,000 draws). The same seed gives the same
    interval.

    Raises ValueError if a sequence is empty or the pairs differ in number, and CeilingTooLow if more than one
    draw in a hundred has the ceiling no higher than the floor: then there is no way between them.
    """
    if len(answers) != len(floor) or not len(answers) or not len(ceiling):
        raise ValueError("answers and floor are pairs, and neither they nor the ceiling are empty")
    answer_scores, floor_scores, ceiling_scores = map(np.asarray, (answers, floor, ceiling))
    generator = np.random.default_rng(seed)
    briefs = generator.integers(len(answers), size=(DRAWS, len(answers)))
    drawn_floor = floor_scores[briefs].mean(axis=1)
    drawn_gain = answer_scores[briefs].mean(axis=1) - drawn_floor
    drawn_ceiling = generator.choice(ceiling_scores, size=(DRAWS, len(ceiling))).mean(axis=1)
    drawn_way = drawn_ceiling - drawn_floor
    has_way = drawn_way > 0
    if 100 * has_way.mean() < LEAST_WAYS_PERCENT:
        raise CeilingTooLow("the ceiling is not clearly above the floor")
    tail = (100 - COVERAGE_PERCENT) / 2
    low, high = np.percentile(drawn_gain[has_way] / drawn_way[has_way], [tail, 100 - tail])
    floor_mean = floor_scores.mean()
    share = float((answer_scores.mean() - floor_mean) / (ceiling_scores.mean() - floor_mean))
    # Percentiles of few and lopsided scores can miss the point itself.
    return Place(share, min(share, float(low)), max(share, float(high)))
