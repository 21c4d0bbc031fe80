"""What a score means: the share of the author's own texts among texts that score alike.

A logistic curve over the score, the length of the text, and how much was learned. It was fitted on authors
with three books each: two are learned, or one, and windows of the third are compared with windows of others.
A writer has too few documents to fit her own. `python -m labs.calibration NOVELS` writes the numbers, and
docs/evidence.md says how well they hold for authors whom they were not fitted on.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parent / "calibration.json"
CALIBRATED_LANGUAGES = ("en",)  # German has three authors: too few to fit a curve or to check one
MIDDLE_WORDS = 300
MIDDLE_LEARNED_WORDS = 15_000
MOST_LOGIT = 30


@dataclass(frozen=True)
class Basis:
    """What the probabilities of a verifier rest on.

    `spread` is the standard deviation of a passage's score if its features varied independently. `distance`
    is how far documents that were left out score above other authors, in the verifier's scores.
    """

    words: int
    documents: int
    spread: float
    distance: float

    @property
    def kind(self) -> str:
        """Which of the curves is its: one document alone says little of what a new one would score."""
        return "one document" if self.documents == 1 else "documents"


@dataclass(frozen=True)
class Typical:
    """What new texts of a length get, in quartiles (0 to 1): the author's own, and other authors'."""

    own: tuple[float, float, float]
    others: tuple[float, float, float]


@dataclass(frozen=True)
class Calibration:
    """The curves, by kind. `typical` and `new_text` are what the third books of the measured authors got."""

    authors: int
    lengths: tuple[int, ...]
    learned_words: tuple[int, ...]
    coefficients: dict[str, NDArray[np.float64]]
    typical: dict[str, Typical]
    new_text: dict[str, float]

    def probabilities(self, scores: NDArray[np.float64], words: float, basis: Basis) -> NDArray[np.float64]:
        """Return, for each score of a text of so many words, the author's share of texts that score so."""
        logits = self.terms(scores, words, basis) @ self.coefficients[basis.kind]
        return 1 / (1 + np.exp(-np.clip(logits, -MOST_LOGIT, MOST_LOGIT)))

    def terms(self, scores: NDArray[np.float64], words: float, basis: Basis) -> NDArray[np.float64]:
        """Return what the coefficients are multiplied by, one row a score."""
        length = math.log(_within(words, self.lengths) / MIDDLE_WORDS)
        learned = math.log(_within(basis.words, self.learned_words) / MIDDLE_LEARNED_WORDS)
        near = scores / basis.spread
        ones = np.ones_like(near)
        columns = [ones, ones * length, ones * learned, near, near * length, near * learned]
        if basis.kind == "documents":
            distance = ones * basis.distance / basis.spread
            columns += [distance, distance * length]
        return np.stack(columns, axis=1)

    def typical_of(self, words: int, basis: Basis) -> Typical:
        """Return what texts of about this length get, by a verifier that learned about as much."""
        length = _nearest(words, self.lengths)
        learned = self._nearest_learned(basis)
        return self.typical[f"{basis.kind}, {learned} words learned, {length} words"]

    def new_text_of(self, basis: Basis) -> float:
        """Return the score of a new book by the author, in the median: 1 is what learned ones get."""
        return self.new_text[f"{basis.kind}, {self._nearest_learned(basis)} words learned"]

    def _nearest_learned(self, basis: Basis) -> int:
        """Return the measured number of words: of one book alone there are fewer."""
        measured = [
            words for words in self.learned_words if f"{basis.kind}, {words} words learned" in self.new_text
        ]
        return _nearest(basis.words, measured)


@cache
def load_calibration() -> Calibration:
    """Return the curves that ship."""
    return read_calibration(json.loads(FILE.read_text()))


def read_calibration(stored: dict[str, Any]) -> Calibration:
    """Return what `labs.calibration` wrote."""
    typical = {}
    for name, quartiles in stored["typical"].items():
        typical[name] = Typical(tuple(quartiles["own"]), tuple(quartiles["others"]))
    return Calibration(
        authors=stored["authors"],
        lengths=tuple(stored["lengths"]),
        learned_words=tuple(stored["learned_words"]),
        coefficients={kind: np.array(numbers) for kind, numbers in stored["coefficients"].items()},
        typical=typical,
        new_text=stored["new_text"],
    )


def _within(value: float, measured: tuple[int, ...]) -> float:
    return min(max(value, measured[0]), measured[-1])


def _nearest(value: float, measured: "tuple[int, ...] | list[int]") -> int:
    """Return the measured number whose ratio to a value is nearest to 1."""
    return min(measured, key=lambda number: abs(math.log(number / max(1.0, value))))
