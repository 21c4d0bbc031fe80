"""`make bench NAME=evidence`: how well the evidence card's figures tell what they claim. Needs NOVELS.

NOVELS is a folder with three books of each author; labs/impostors.py says how they are named.

- `calibration` fits the percentages on half of the authors and judges them on the other half.
- `new-book` lists what a third book scores, as the product says it.
- `check` times a draft.

Writes bench/results/evidence.json and the tables of docs/evidence.md.
"""

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.verifier.calibration import load_calibration, read_calibration
from adapters.verifier.impostors import (
    load_impostors,
)
from adapters.verifier.verifier import Verifier, train_verifier
from labs import calibration, machine, report
from labs.impostors import cut_passages, find_books
from stack.folders import ROOT

MOST_CHECK_MS = 300
CHECKS = 30
LEAST_AUC_OF_DRAFT = 0.88  # at 300 words, by 15,000
BINS = 5  # of percentages
DOC = ROOT / "docs" / "evidence.md"

type Figures = dict[str, float]


def area_under_curve(own: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Return how often an own text scores higher than another; ties count half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, own, side="left") + np.searchsorted(ordered, own, side="right")
    return float(below.mean() / (2 * len(others)))


def measure_calibration(novels: Path) -> dict[str, Figures]:
    """Return how many texts were the author's, by the percentage that they got.

    The curve is fitted on half of the authors and judged on the other half, beside each other: four times, by
    two ways to halve them. Own texts and others' weigh the same.
    """
    trials = list(calibration.run_trials(calibration.read_authors(novels, "en"), "en"))
    names = sorted({trial.author for trial in trials})
    middle = len(names) // 2
    halves = [(names[::2], names[1::2]), (names[:middle], names[middle:])]
    own: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    others: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    areas: dict[str, list[float]] = defaultdict(list)
    for fitted_on, judged_on in [*halves, *((second, first) for first, second in halves)]:
        curves = read_calibration(calibration.describe_calibration(_among(trials, fitted_on)))
        for trial in _among(trials, judged_on):
            for length in calibration.LENGTHS_WORDS:
                row = f"{trial.basis.kind}, {trial.learned_words} words learned, {length} words"
                found = calibration.list_probabilities(curves, [trial], length)
                own[row].append(found[0])
                others[row].append(found[1])
                areas[row].append(area_under_curve(*found))
    shares = {}
    for row, found_own in own.items():
        figures = _share_by_bin(np.concatenate(found_own), np.concatenate(others[row]))
        shares[row] = {**figures, "auc": round(mean(areas[row]), 4), "authors": len(names)}
    return shares


def _among(trials: list[calibration.Trial], names: list[str]) -> list[calibration.Trial]:
    """Return the trials of some authors beside each other."""
    found = []
    for trial in trials:
        others = {name: scores for name, scores in trial.others.items() if name in names}
        if trial.author in names and others:
            found.append(replace(trial, others=others))
    return found


def _share_by_bin(own: NDArray[np.float64], others: NDArray[np.float64]) -> Figures:
    """Return, for each fifth of the percentages, which share of its texts was own, and how many it has."""
    figures = {}
    for number in range(BINS):
        own_part, others_part = (
            float(np.mean(np.minimum(found * BINS // 1, BINS - 1) == number)) for found in (own, others)
        )
        both = own_part + others_part
        figures[f"own_{number}"] = round(own_part / both, 3) if both else 0.0
        figures[f"part_{number}"] = round(both / 2, 3)
    return figures


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


def table_of_calibration(found: dict[str, Figures]) -> str:
    """Return a row for each way to learn and length: whose texts they were, by what they got."""
    bins = [f"{100 * number // BINS} to {100 * (number + 1) // BINS} %" for number in range(BINS)]
    rows = [["learned", "text, words", "AUC", *bins]]
    for name, figures in found.items():
        kind, learned, length = name.split(", ")
        words = int(learned.split()[0])
        label = {"documents": "two books", "one document": "one book"}[kind]
        cells = []
        for number in range(BINS):
            is_rare = figures[f"part_{number}"] < 0.01  # a handful of texts
            cells.append("-" if is_rare else f"{100 * figures[f'own_{number}']:.0f} %")
        rows.append([f"{words:,} words of {label}", length.split()[0], f"{figures['auc']:.3f}", *cells])
    half = found["documents, 15000 words learned, 300 words"]
    is_met = half["auc"] >= LEAST_AUC_OF_DRAFT
    bound = f"At 300 words, by 15,000 of two books: AUC {half['auc']:.3f}; bound: {LEAST_AUC_OF_DRAFT}, "
    middle = f"Of those that got 40 to 60 %, {100 * half['own_2']:.0f} % were the author's."
    return f"{report.aligned(rows)}\n\n{bound}{report.verdict(is_met)}. {middle}"


def measure_new_book(novels: Path) -> dict[str, Figures]:
    """Return what the third book scores, by how much of two books or of one was learned."""
    del novels  # labs.calibration has measured it, and the product shows these very numbers
    return {name: {"score": score} for name, score in load_calibration().new_text.items()}


def table_of_new_book(found: dict[str, Figures]) -> str:
    """Return a row for each number of words that was learned."""
    rows = [["learned, words", "two books", "one book"]]
    for words in calibration.LEARNED_WORDS:
        cells = [f"{words:,}"]
        for kind in calibration.KINDS:
            figures = found.get(f"{kind}, {words} words learned")
            cells.append(f"{figures['score']:.2f}" if figures else "-")
        rows.append(cells)
    return report.aligned(rows)


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
    "calibration": (measure_calibration, table_of_calibration),
    "new-book": (measure_new_book, table_of_new_book),
    "check": (measure_check, table_of_check),
}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)} (default: all)")
    options = parser.parse_args()
    novels = Path(os.environ.get("NOVELS", ""))
    if not find_books(novels, "en"):
        raise SystemExit(f"✗ {novels} has no novels: NOVELS names the folder.")
    found = report.read_results("evidence")
    for name in options.parts or PARTS:
        measure, describe = PARTS[name]
        found[name] = measure(novels)
        table = describe(found[name])
        print(f"\n{name}\n{table}", flush=True)
        report.between_marks(name, table, DOC)
        report.write_results("evidence", found | {"cores": os.cpu_count(), "machine": machine.model()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
