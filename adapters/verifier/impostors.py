"""Impostors: what other authors' texts look like, as numbers. `python -m labs.impostors` writes the files.

A file holds, for each author, the mean features of a few blocks of his passages (one byte a feature, on a
scale of square roots), and how far passages of one author lie from their mean. A block is about 20,000 words,
and a feature is a bucket of dozens of n-grams: no sentence can be read from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters.verifier.errors import UnsupportedLanguage
from adapters.verifier.features import measure_passages

DATA = Path(__file__).parent / "impostor_data"
SUPPORTED_LANGUAGES = ("de", "en")
BLOCKS_OF_AUTHOR = 4  # ten are no better by more than 0.003 of AUC
TOP_LEVEL = 127  # of a byte: half as many levels compress to a fifth less


@dataclass(frozen=True)
class Impostors:
    """Other authors of a language.

    `blocks` has one row of features a block, `authors` the number of each block's author, and `deviations`
    one standard deviation a feature: of passages around the mean of their author's block.
    """

    blocks: NDArray[np.float32]
    authors: NDArray[np.int64]
    deviations: NDArray[np.float32]


def measure_author(passages: list[str], language: str) -> Impostors:
    """Return one author as an impostor, by passages in order (120 to 350 words each)."""
    parts = np.array_split(measure_passages(passages, language), BLOCKS_OF_AUTHOR)
    variance = np.mean([part.var(axis=0) for part in parts], axis=0)
    blocks = np.stack([part.mean(axis=0) for part in parts])
    return Impostors(blocks, np.zeros(len(blocks), np.int64), np.sqrt(variance))


def join_authors(authors: Sequence[Impostors]) -> Impostors:
    """Return several authors, each measured alone, as the impostors of a verifier."""
    numbers = [np.full(len(author.blocks), number) for number, author in enumerate(authors)]
    variance = np.mean([author.deviations**2 for author in authors], axis=0)
    blocks = np.concatenate([author.blocks for author in authors])
    return Impostors(blocks, np.concatenate(numbers), np.sqrt(variance))


def save_impostors(impostors: Impostors, file: Path) -> None:
    """Write impostors to a file that `load_impostors` reads: the same bytes each time."""
    levels, tops = _quantise(impostors.blocks)
    np.savez_compressed(
        file,
        levels=levels,
        tops=tops,
        authors=impostors.authors.astype(np.uint8),
        deviations=impostors.deviations.astype(np.float16),
    )


@cache
def load_impostors(language: str) -> Impostors:
    """Return the impostors that ship for a language (ISO 639-1). Raises UnsupportedLanguage."""
    if language not in SUPPORTED_LANGUAGES:
        raise UnsupportedLanguage(language)
    with np.load(DATA / f"{language}.npz", allow_pickle=False) as file:
        blocks = (file["levels"] / np.float32(TOP_LEVEL)) ** 2 * file["tops"]
        return Impostors(blocks, file["authors"].astype(np.int64), file["deviations"].astype(np.float32))


def _quantise(blocks: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return levels, and each feature's highest value. Square roots keep small shares apart."""
    tops = blocks.max(axis=0)
    scaled = np.sqrt(blocks / np.maximum(tops, np.finfo(np.float32).tiny))
    return np.rint(scaled * TOP_LEVEL).astype(np.uint8), tops
