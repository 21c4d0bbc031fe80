"""Impostors: what other authors' texts look like, as numbers. `python -m labs.impostors` writes the files.

Of each author a file holds the mean features of two blocks of passages, the directions in which his passages
vary most (from dialogue to narration, say), and how much each feature varies. A block is tens of thousands of
words, and a feature is a bucket of dozens of n-grams: no sentence can be read from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# What can be wrong with a verifier. Plain exceptions: this package knows neither Django nor a language.


class UnsupportedLanguage(ValueError):
    """No impostors ship for this language, so nothing could be compared with a writer."""


class TooFewTexts(ValueError):
    """Cross-validation needs more passages than these."""


class StyleNotDistinct(ValueError):
    """The writer's own passages score no higher than those of the impostors."""


class BadVerifier(ValueError):
    """These bytes hold no verifier of this format."""


class CeilingTooLow(ValueError):
    """The writer's own texts do not clearly score above the floor, so nothing has a place between them."""


DATA = Path(__file__).parent / "impostor_data"
SUPPORTED_LANGUAGES = ("en", "de")
BLOCKS_OF_AUTHOR = 2
DIRECTIONS_OF_AUTHOR = 4  # better by 0.007 at 1,000 words than two blocks more; 64 add 0.003
SHRINKAGE = 0.3  # of the mean variance, added to each: the rarest features would weigh most
# Steps of what is stored in a byte: fewer of them compress better.
BLOCK_LEVELS = 127
DIRECTION_LEVELS = 15


@dataclass(frozen=True)
class Impostors:
    """Other authors of a language, with one column a feature.

    `blocks` are means, `directions` are deviations from an author's mean: the sum of their squares is the
    share of the variance that they explain. `authors_of_blocks` and `authors_of_directions` number the
    authors. `deviations` has one standard deviation a feature, of passages around the mean of their block.
    """

    blocks: NDArray[np.float32]
    authors_of_blocks: NDArray[np.int64]
    directions: NDArray[np.float32]
    authors_of_directions: NDArray[np.int64]
    deviations: NDArray[np.float32]


def scale_features(deviations: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return one factor a feature, so that all vary alike: the inverse of its deviation, shrunk."""
    variances = deviations**2
    return (1 / np.sqrt(variances + SHRINKAGE * variances.mean())).astype(np.float32)


def measure_author(passages: NDArray[np.float32]) -> Impostors:
    """Return one author as an impostor, by the features of passages in order (120 to 350 words each)."""
    parts = np.array_split(passages, BLOCKS_OF_AUTHOR)
    blocks = np.stack([part.mean(axis=0) for part in parts])
    deviations = np.sqrt(np.mean([part.var(axis=0) for part in parts], axis=0))
    around_mean = (passages - passages.mean(axis=0)) / np.float32(np.sqrt(len(passages)))
    scaled = around_mean * scale_features(deviations)
    _, vectors = np.linalg.eigh((scaled @ scaled.T).astype(np.float64))
    # Each column of the vectors mixes passages; the last ones explain most.
    directions = vectors[:, -DIRECTIONS_OF_AUTHOR:].T.astype(np.float32) @ around_mean
    numbers = np.zeros(BLOCKS_OF_AUTHOR + DIRECTIONS_OF_AUTHOR, np.int64)
    return Impostors(blocks, numbers[:BLOCKS_OF_AUTHOR], directions, numbers[BLOCKS_OF_AUTHOR:], deviations)


def join_authors(authors: Sequence[Impostors]) -> Impostors:
    """Return several authors, each measured alone, as the impostors of a verifier."""
    numbers = np.arange(len(authors))
    return Impostors(
        np.concatenate([author.blocks for author in authors]),
        numbers.repeat([len(author.blocks) for author in authors]),
        np.concatenate([author.directions for author in authors]),
        numbers.repeat([len(author.directions) for author in authors]),
        np.sqrt(np.mean([author.deviations**2 for author in authors], axis=0)),
    )


def save_impostors(impostors: Impostors, file: Path) -> None:
    """Write impostors to a file that `read_impostors` reads: the same bytes each time."""
    deviations = impostors.deviations.astype(np.float16)
    # Square roots keep small shares apart.
    block_tops = impostors.blocks.max(axis=0)
    roots = np.sqrt(impostors.blocks / np.maximum(block_tops, np.finfo(np.float32).tiny))
    scaled = impostors.directions * scale_features(deviations.astype(np.float32))
    direction_tops = np.abs(scaled).max(axis=1, keepdims=True)
    np.savez_compressed(
        file,
        blocks=np.rint(roots * BLOCK_LEVELS).astype(np.uint8),
        block_tops=block_tops,
        authors_of_blocks=impostors.authors_of_blocks.astype(np.uint8),
        directions=np.rint(scaled / direction_tops * DIRECTION_LEVELS).astype(np.int8),
        direction_tops=direction_tops,
        authors_of_directions=impostors.authors_of_directions.astype(np.uint8),
        deviations=deviations,
    )


def read_impostors(file: Path) -> Impostors:
    """Return what `save_impostors` wrote."""
    with np.load(file, allow_pickle=False) as stored:
        deviations = stored["deviations"].astype(np.float32)
        directions = stored["directions"] * (stored["direction_tops"] / DIRECTION_LEVELS)
        return Impostors(
            (stored["blocks"] / np.float32(BLOCK_LEVELS)) ** 2 * stored["block_tops"],
            stored["authors_of_blocks"].astype(np.int64),
            (directions / scale_features(deviations)).astype(np.float32),
            stored["authors_of_directions"].astype(np.int64),
            deviations,
        )


@cache
def load_impostors(language: str) -> Impostors:
    """Return the impostors that ship for a language (ISO 639-1). Raises UnsupportedLanguage."""
    if language not in SUPPORTED_LANGUAGES:
        raise UnsupportedLanguage(f"no impostors for the language {language!r}")
    return read_impostors(DATA / f"{language}.npz")
