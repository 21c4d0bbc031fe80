"""`make bench-evidence`: how well the evidence card's figures tell what they claim. Needs NOVELS.

NOVELS is a folder with three books of each author (labs/impostors.py says how they are named). Part `verifier`
learns two books of an author and judges the third beside the third books of others, at three lengths. Its
impostors are made of the others' first two books, never of the author. Writes bench/results/evidence.json.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
from numpy.typing import NDArray

from bench import report
from bench.linear_svm import train_svm
from labs.impostors import cut_passages, find_books
from labs import machine
from stack.errors import StackError
from training.evidence.features import measure_passages
from training.evidence.impostors import SUPPORTED_LANGUAGES, Impostors, join_authors, measure_author
from training.evidence.verifier import train_verifier

LENGTHS_WORDS = (100, 300, 1_000)
MOST_JUDGED = 100  # texts of one length from one book
BOUNDS = {100: 0.85, 300: 0.92, 1_000: 0.96}
MOST_CHECK_MS = 300

type Features = NDArray[np.float32]
type Score = Callable[[Features], NDArray[np.float64]]


@dataclass(frozen=True)
class Author:
    """An author: the passages of two books, as texts, features and impostors; texts of a third to judge."""

    name: str
    passages: list[str]
    features: Features
    impostors: Impostors
    judged: dict[int, Features]


@dataclass(frozen=True)
class Split:
    """Who are impostors and who is judged beside an author."""

    author: Author
    impostors: list[Author]
    judged: list[Author]


def read_author(name: str, books: list[Path], language: str) -> Author:
    """Return an author by three books: two to learn, the last to judge."""
    passages = [passage for book in books[:2] for passage in cut_passages(book.read_text())]
    judged = {}
    for words in LENGTHS_WORDS:
        texts = cut_passages(books[2].read_text(), words=words)
        chosen = np.linspace(0, len(texts) - 1, min(len(texts), MOST_JUDGED)).astype(int)
        judged[words] = measure_passages([texts[number] for number in chosen], language)
    features = measure_passages(passages, language)
    return Author(name, passages, features, measure_author(passages, language), judged)
