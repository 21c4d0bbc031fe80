"""`make bench-evidence`: how well the evidence card's figures tell what they claim. Needs NOVELS.

NOVELS is a folder with three books of each author; labs/impostors.py says how they are named. Part `verifier`
learns two books of an author and judges the third beside the third books of others, at three lengths. Its
impostors are made of the others' first two books, never of the author's. Part `svm` does the same with a
linear SVM, part `check` times a draft. Part `gate` (bench/evidence_gate.py) trains thirty styles, which takes
hours: it is only run by its name. Writes bench/results/evidence.json and the tables of docs/evidence.md.
"""

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.verifier.features import measure_passages
from adapters.verifier.impostors import (
    SUPPORTED_LANGUAGES,
    Impostors,
    join_authors,
    load_impostors,
    measure_author,
)
from adapters.verifier.verifier import Verifier, learn_passages, train_verifier
from bench import evidence_gate, report
from bench.linear_svm import train_svm
from labs import machine
from labs.impostors import cut_passages, find_books
from stack.folders import ROOT

LENGTHS_WORDS = (100, 300, 1_000)
MOST_JUDGED = 200  # texts of one length from one book
LEAST_FOR_HALVES = 5  # authors: two impostors, whom cross-validation leaves out in turn
BOUNDS = {100: 0.85, 300: 0.92, 1_000: 0.96}
MOST_CHECK_MS = 300
CHECKS = 30
SEED = 29
DOC = ROOT / "docs" / "evidence.md"

type Features = NDArray[np.float32]
type Figures = dict[str, float]
type Score = Callable[[Features], NDArray[np.float64]]


@dataclass(frozen=True)
class Author:
    """An author: passages of two books, as features and as an impostor; texts of a third, by their length."""

    name: str
    passages: Features
    as_impostor: Impostors
    judged: dict[int, Features]


@dataclass(frozen=True)
class Split:
    """Who is learned, who are the impostors, and who is judged beside the one who is learned."""

    author: Author
    impostors: list[Author]
    judged: list[Author]


type Learn = Callable[[Split, str], Score]


def read_author(name: str, books: list[Path], language: str) -> Author:
    """Return an author by three books: two to learn, the last to judge."""
    passages = [passage for book in books[:2] for passage in cut_passages(book.read_text())]
    judged = {}
    for words in LENGTHS_WORDS:
        texts = cut_passages(books[2].read_text(), words=words)
        chosen = np.linspace(0, len(texts) - 1, min(len(texts), MOST_JUDGED)).astype(int)
        judged[words] = measure_passages([texts[number] for number in chosen], language)
    features = measure_passages(passages, language)
    return Author(name, features, measure_author(features), judged)


def known_splits(authors: list[Author]) -> Iterator[Split]:
    """Yield each author against all others: their first two books are impostors, their third is judged."""
    for author in authors:
        others = [other for other in authors if other is not author]
        yield Split(author, others, others)


def unknown_splits(authors: list[Author]) -> Iterator[Split]:
    """Yield each author twice: one half of the others are impostors, the other half is judged."""
    for author in authors:
        others = [other for other in authors if other is not author]
        yield Split(author, others[0::2], others[1::2])
        yield Split(author, others[1::2], others[0::2])


def learn_verifier(split: Split, language: str) -> Score:
    """Return how the product's verifier scores features."""
    impostors = join_authors([author.as_impostor for author in split.impostors])
    verifier = learn_passages(split.author.passages, language, impostors)
    weights = verifier.weights.astype(np.float32)
    return lambda features: (features @ weights).astype(np.float64) + verifier.bias


class LinearSvm:
    """The peer: it learns from every passage of the impostors, which the product does not have."""

    def __init__(self, authors: list[Author]) -> None:
        self.rows = {author.name: _normalise(author.passages) for author in authors}
        every = np.concatenate(list(self.rows.values()))
        self.products = (every @ every.T).astype(np.float64) + 1
        sizes = [len(rows) for rows in self.rows.values()]
        ends = np.cumsum(sizes)
        spans = zip(self.rows, ends - sizes, ends, strict=True)
        self.numbers = {name: np.arange(start, end) for name, start, end in spans}

    def learn(self, split: Split, _language: str) -> Score:
        """Return how an SVM of this split scores features."""
        names = [author.name for author in (split.author, *split.impostors)]
        numbers = np.concatenate([self.numbers[name] for name in names])
        is_own = np.arange(len(numbers)) < len(self.numbers[split.author.name])
        coefficients = train_svm(self.products[np.ix_(numbers, numbers)], is_own, seed=SEED)
        rows = np.concatenate([self.rows[name] for name in names])
        weights = coefficients.astype(np.float32) @ rows
        return lambda features: _normalise(features) @ weights


def judge(splits: Iterator[Split], learn: Learn, language: str) -> Figures:
    """Return the mean of the authors' AUC at each length, and that of the author with the lowest."""
    found: dict[int, dict[str, list[float]]] = {words: defaultdict(list) for words in LENGTHS_WORDS}
    for split in splits:
        score = learn(split, language)
        for words, by_author in found.items():
            own = score(split.author.judged[words])
            for other in split.judged:
                by_author[split.author.name].append(area_under_curve(own, score(other.judged[words])))
    figures: Figures = {}
    for words, by_author in found.items():
        areas = [mean(areas) for areas in by_author.values()]
        figures |= {f"auc_{words}": round(mean(areas), 4), f"lowest_{words}": round(min(areas), 4)}
    return figures


def area_under_curve(own: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Return how often an own text scores higher than another; ties count half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, own, side="left") + np.searchsorted(ordered, own, side="right")
    return float(below.mean() / (2 * len(others)))


def measure_verifier(novels: Path) -> dict[str, Figures]:
    """Return the figures of the verifier, for each language and protocol."""
    return judge_languages(novels, lambda _authors: learn_verifier)


def measure_svm(novels: Path) -> dict[str, Figures]:
    """Return the figures of a plain SVM on the same texts."""
    return judge_languages(novels, lambda authors: LinearSvm(authors).learn)


def judge_languages(novels: Path, prepare: Callable[[list[Author]], Learn]) -> dict[str, Figures]:
    """Return the figures of one way to learn, for each language and protocol."""
    found = {}
    for language in SUPPORTED_LANGUAGES:
        books = find_books(novels, language)
        authors = [read_author(name, three, language) for name, three in books.items() if len(three) == 3]
        learn = prepare(authors)
        splits = {"known": known_splits(authors)}
        if len(authors) >= LEAST_FOR_HALVES:
            splits["unknown"] = unknown_splits(authors)
        for name, each in splits.items():
            found[f"{language}, {name}"] = judge(each, learn, language)
            print(f"  {language}, {name}: {found[f'{language}, {name}']}", flush=True)
    return found


def measure_check(novels: Path) -> dict[str, Figures]:
    """Return how long training and checking a draft of 1,000 words take, with the impostors that ship."""
    [*learned, last] = next(iter(find_books(novels, "en").values()))
    passages = [passage for book in learned for passage in cut_passages(book.read_text())]
    draft = cut_passages(last.read_text(), words=1_000)[1]
    load_impostors("en")
    started_s = time.perf_counter()
    stored = train_verifier(passages, "en").to_bytes()
    trained_s = time.perf_counter() - started_s
    checks_ms = []
    for _ in range(CHECKS):
        started_s = time.perf_counter()
        verifier = Verifier.from_bytes(stored)
        verifier.score(draft)
        verifier.score_sentences(draft)
        checks_ms.append(1_000 * (time.perf_counter() - started_s))
    return {
        "en": {
            "train_s": round(trained_s, 2),
            "check_p50_ms": round(median(checks_ms), 1),
            "check_max_ms": round(max(checks_ms), 1),
            "verifier_bytes": len(stored),
        }
    }


def table_of_verifier(found: dict[str, Figures]) -> str:
    """Return a row for each language and protocol: mean AUC, and that of the lowest author."""
    rows = [["language, others", *(f"{words:,} words" for words in LENGTHS_WORDS)]]
    for name, figures in found.items():
        cells = [
            f"{figures[f'auc_{words}']:.3f} ({figures[f'lowest_{words}']:.2f})" for words in LENGTHS_WORDS
        ]
        rows.append([name, *cells])
    bounds = [f"≥ {bound}" for bound in BOUNDS.values()]
    return report.aligned([*rows, ["bound", *bounds]])


def table_of_check(found: dict[str, Figures]) -> str:
    """Return the times of a check."""
    figures = found["en"]
    rows = [
        ["", "found", "bound"],
        ["training a verifier, s", f"{figures['train_s']}", ""],
        ["checking 1,000 words, median ms", f"{figures['check_p50_ms']}", f"≤ {MOST_CHECK_MS}"],
        ["the slowest check, ms", f"{figures['check_max_ms']}", f"≤ {MOST_CHECK_MS}"],
        ["a stored verifier, bytes", f"{figures['verifier_bytes']:,.0f}", "≤ 100,000"],
    ]
    return report.aligned(rows)


# What is measured, and the table that is made of it. A further figure of the card is a further line.
PARTS: dict[str, tuple[Callable[[Path], Any], Callable[[Any], str]]] = {
    "verifier": (measure_verifier, table_of_verifier),
    "svm": (measure_svm, table_of_verifier),
    "check": (measure_check, table_of_check),
    "gate": (evidence_gate.measure_gate, evidence_gate.table_of_gate),
}
BY_NAME = {"gate"}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)} (default: all but gate)")
    options = parser.parse_args()
    novels = Path(os.environ.get("NOVELS", ""))
    if not find_books(novels, "en"):
        raise SystemExit(f"✗ {novels} has no novels: NOVELS names the folder.")
    found = report.read_results("evidence")
    for name in options.parts or [part for part in PARTS if part not in BY_NAME]:
        measure, describe = PARTS[name]
        found[name] = measure(novels)
        table = describe(found[name])
        print(f"\n{name}\n{table}", flush=True)
        report.between_marks(name, table, DOC)
        report.write_results("evidence", found | {"cores": os.cpu_count(), "machine": machine.model()})
    return 0


def _normalise(rows: Features) -> Features:
    """Return rows of length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    sys.exit(main())
