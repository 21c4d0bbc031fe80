"""Bradley-Terry: how strong each version is by blind votes, with 95 % intervals.

Hunter, "MM algorithms for generalized Bradley-Terry models" (2004), has the model; a tie counts as half a
vote for each side. Of the library `choix` only the tests make use: it brings SciPy, 84 MiB in every process.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

# Ties with the others that every version begins with: without them 3 of 3 votes would be certain.
PRIOR_VOTES = 1.0
SPREAD_95 = 1.96  # standard deviations of a normal distribution
MAX_STEPS = 100
MAX_CHANGE = 1.0  # of a strength in a step of Newton's, which far from the solution leads astray
CLOSE_ENOUGH = 1e-9

type Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Chance:
    """In how many percent of votes something is preferred, and between what that lies at 95 %."""

    percent: float
    low: float
    high: float


class Strengths:
    """The strengths of some items, by votes: (preferred, other) → how many, 0.5 for each side of a tie."""

    def __init__(self, items: Sequence[object], votes: Mapping[tuple[object, object], float]) -> None:
        self._places = {item: place for place, item in enumerate(items)}
        self._strengths, self._covariance = _fit(self._wins(votes))

    def chance(self, item: object, other: object) -> Chance:
        """Return how often the one is preferred to the other."""
        contrast = np.zeros(len(self._places))
        contrast[self._places[item]] += 1
        contrast[self._places[other]] -= 1
        return self._chance(contrast)

    def chance_on_average(self, item: object) -> Chance:
        """Return how often an item is preferred to one of middling strength."""
        contrast = np.full(len(self._places), -1 / len(self._places))
        contrast[self._places[item]] += 1
        return self._chance(contrast)

    def _wins(self, votes: Mapping[tuple[object, object], float]) -> Matrix:
        wins = np.zeros((len(self._places), len(self._places)))
        for pair in permutations(self._places, 2):
            prior = PRIOR_VOTES / 2 / (len(self._places) - 1)
            wins[self._places[pair[0]], self._places[pair[1]]] = votes.get(pair, 0) + prior
        return wins

    def _chance(self, contrast: Matrix) -> Chance:
        distance = float(contrast @ self._strengths)
        spread = SPREAD_95 * math.sqrt(max(0.0, float(contrast @ self._covariance @ contrast)))
        return Chance(*(100 * _sigmoid(at) for at in (distance, distance - spread, distance + spread)))


def _fit(wins: Matrix) -> tuple[Matrix, Matrix]:
    """Return the most likely strengths, 0 on average, and their covariance, by Newton's method."""
    strengths = np.zeros(len(wins))
    if not wins.size:
        return strengths, wins
    games = wins + wins.T
    average = np.full_like(wins, 1 / len(wins))
    for _ in range(MAX_STEPS):
        expected = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
        gradient = (wins - games * expected).sum(axis=1)
        weights = games * expected * (1 - expected)
        information = np.diag(weights.sum(axis=1)) - weights
        # Only differences are known, so the information has no inverse but on what adds up to 0.
        covariance = np.linalg.inv(information + average) - average
        step = covariance @ gradient
        strengths += np.clip(step, -MAX_CHANGE, MAX_CHANGE)
        if np.abs(step).max() < CLOSE_ENOUGH:
            break
    return strengths - strengths.mean(), covariance


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
