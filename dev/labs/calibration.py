"""`python -m labs.calibration NOVELS`: fit what the verifier's scores mean, on authors with three books each.

Of each author, so many words of two books or of one are learned, and windows of the third are scored. Beside
them stand windows of other authors' third books, who are not among the impostors: a writer's readers and
rivals aren't either. The same folder gives the same numbers. See adapters/verifier/calibration.py.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.verifier.calibration import FILE, MIDDLE_WORDS, MOST_LOGIT, Basis, Calibration
from adapters.verifier.features import measure_passages
from adapters.verifier.impostors import Impostors, join_authors, measure_author
from adapters.verifier.verifier import Verifier, learn_passages
from labs.impostors import PASSAGE_WORDS, cut_passages, find_books

LENGTHS_WORDS = (20, 50, 100, 300, 1_000)
LEARNED_WORDS = (5_000, 15_000, 40_000, 75_000)
MOST_OF_ONE_BOOK = 40_000
SKIPPED_WORDS = 3_000  # titles, prefaces
MOST_JUDGED = 80  # texts of one length from one book
KINDS = ("documents", "one document")
GROUPS = 4  # of the others: one is judged while the rest are impostors
RIDGE = 1e-5  # so that the fit has one solution
STEPS = 30

type Features = NDArray[np.float32]
type Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Author:
    """An author: passages of each book in order, as an impostor, and texts of the third by their length."""

    name: str
    passages: tuple[Features, ...]
    as_impostor: Impostors
    judged: dict[int, Features]


@dataclass(frozen=True)
class Trial:
    """A verifier of one author: how it scores his third book and other authors', by length."""

    author: str
    learned_words: int
    basis: Basis
    own: dict[int, Scores]
    others: dict[str, dict[int, Scores]]


def read_author(name: str, books: Sequence[Path], language: str) -> Author:
    """Return an author by three books: two to learn, the last to judge."""
    texts = []
    for book in books:
        texts.append(" ".join(book.read_text().split()[SKIPPED_WORDS:]))
    passages = tuple(measure_passages(cut_passages(text), language) for text in texts)
    judged = {}
    for words in LENGTHS_WORDS:
        windows = cut_passages(texts[-1], words=words)
        chosen = np.linspace(0, len(windows) - 1, min(len(windows), MOST_JUDGED)).astype(int)
        judged[words] = measure_passages([windows[number] for number in chosen], language)
    return Author(name, passages, measure_author(np.concatenate(passages)), judged)


def read_authors(novels: Path, language: str) -> list[Author]:
    """Return all authors of a language who have three books."""
    books = find_books(novels, language)
    return [read_author(name, three, language) for name, three in books.items() if len(three) == 3]


def run_trials(authors: Sequence[Author], language: str) -> Iterator[Trial]:
    """Yield verifiers of each author, by how much they learned, with each group of others left to judge."""
    for author in authors:
        others = [other for other in authors if other is not author]
        for words, passages, documents in _choose_passages(author):
            for group in range(min(GROUPS, len(others))):
                judged = others[group::GROUPS]
                impostors = [other.as_impostor for other in others if other not in judged]
                verifier = learn_passages(
                    passages,
                    language,
                    join_authors(impostors),
                    documents=documents,
                    words=len(passages) * PASSAGE_WORDS,
                )
                assert verifier.basis
                own = score_features(verifier, author.judged)
                found = {other.name: score_features(verifier, other.judged) for other in judged}
                yield Trial(author.name, words, verifier.basis, own, found)


def describe_calibration(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the curves that fit some trials, as they are stored: numbers alone."""
    curves = Calibration(0, LENGTHS_WORDS, LEARNED_WORDS, {}, {}, {})
    for kind in KINDS:
        curves.coefficients[kind] = _fit_curve(curves, [one for one in trials if one.basis.kind == kind])
    new_text: dict[str, float] = {}
    typical: dict[str, dict[str, list[float]]] = {}
    for name, group in _group_trials(trials).items():
        new_text[name] = round(median(float(one.own[MIDDLE_WORDS].mean()) for one in group), 2)
        for length in LENGTHS_WORDS:
            own, others = list_probabilities(curves, group, length)
            typical[f"{name}, {length} words"] = {"own": _quartiles(own), "others": _quartiles(others)}
    coefficients = {}
    for kind, numbers in curves.coefficients.items():
        coefficients[kind] = [round(float(number), 4) for number in numbers]
    return {
        "authors": len({trial.author for trial in trials}),
        "lengths": LENGTHS_WORDS,
        "learned_words": LEARNED_WORDS,
        "coefficients": coefficients,
        "new_text": new_text,
        "typical": typical,
    }


def list_probabilities(curves: Calibration, trials: Sequence[Trial], length: int) -> tuple[Scores, Scores]:
    """Return what texts of a length get: the authors' own, and others'."""
    own, others = [], []
    for trial in trials:
        own.append(curves.probabilities(trial.own[length], length, trial.basis))
        for scores in trial.others.values():
            others.append(curves.probabilities(scores[length], length, trial.basis))
    return np.concatenate(own), np.concatenate(others)


def _choose_passages(author: Author) -> Iterator[tuple[int, Features, NDArray[np.int64]]]:
    """Yield so many words, their passages, and the document of each: of two books, then of each alone."""
    first, second, _ = author.passages
    for words in LEARNED_WORDS:
        count = round(words / PASSAGE_WORDS / 2)
        taken = [book[:count] for book in (first, second)]
        yield words, np.concatenate(taken), np.repeat([0, 1], [len(book) for book in taken])
    for words in LEARNED_WORDS:
        for book in (first, second):
            if words <= MOST_OF_ONE_BOOK:
                taken_ones = book[: round(words / PASSAGE_WORDS)]
                yield words, taken_ones, np.zeros(len(taken_ones), np.int64)


def score_features(verifier: Verifier, judged: Mapping[int, Features]) -> dict[int, Scores]:
    """Return the scores of texts by their length."""
    weights = verifier.weights.astype(np.float32)
    return {length: (texts @ weights).astype(np.float64) + verifier.bias for length, texts in judged.items()}


def _group_trials(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(f"{trial.basis.kind}, {trial.learned_words} words learned", []).append(trial)
    return groups


def _fit_curve(curves: Calibration, trials: Sequence[Trial]) -> NDArray[np.float64]:
    """Return the coefficients by Newton's method. Own texts and others' weigh the same, as do all trials."""
    rows, aims, importance = [], [], []
    for trial in trials:
        for length in LENGTHS_WORDS:
            others = np.concatenate([scores[length] for scores in trial.others.values()])
            for scores, is_own in ((trial.own[length], 1.0), (others, 0.0)):
                rows.append(curves.terms(scores, length, trial.basis))
                aims.append(np.full(len(scores), is_own))
                importance.append(np.full(len(scores), 1 / len(scores)))
    terms, aim, weight = np.concatenate(rows), np.concatenate(aims), np.concatenate(importance)
    weight /= weight.sum()
    curve = np.zeros(terms.shape[1])
    for _ in range(STEPS):
        found = 1 / (1 + np.exp(-np.clip(terms @ curve, -MOST_LOGIT, MOST_LOGIT)))
        slope = terms.T @ (weight * (found - aim)) + RIDGE * curve
        steepness = (terms * (weight * found * (1 - found))[:, None]).T @ terms
        curve -= np.linalg.solve(steepness + RIDGE * np.eye(len(curve)), slope)
    return curve


def _quartiles(probabilities: Scores) -> list[float]:
    return [round(float(value), 2) for value in np.percentile(probabilities, [25, 50, 75])]


if __name__ == "__main__":
    every = list(run_trials(read_authors(Path(sys.argv[1]), "en"), "en"))
    FILE.write_text(json.dumps(describe_calibration(every), indent=1) + "\n")
    print(f"{FILE.name}: {len(every)} verifiers, {FILE.stat().st_size:,} bytes")
