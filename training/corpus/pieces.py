"""Pieces: the smallest parts of a document, of which passages consist.

A paragraph of up to 100 words is one piece. A longer one is cut at the ends of its sentences, a longer
sentence at its commas and line breaks, and what is still longer between words. A paragraph of fewer than five
words, such as "* * *" or "Chapter II", belongs to the one that follows it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice

from core.sentences import PARAGRAPH_GAP, sentence_ends, strip_span
from training.text import WORD, count_words

# A document, as reading returns it.


@dataclass(frozen=True, kw_only=True)
class SourceDocument:
    """One document's text: paragraphs with one blank line between them.

    `language`: ISO 639-1, or "" where it is unclear. `quotation_share`: of the words, 0 to 1.
    """

    id: str
    text: str
    language: str
    quotation_share: float = 0.0


MOST_PIECE_WORDS = 100
# Shorter ones only add possible cuts, and the time to try them.
LEAST_PIECE_WORDS = 15
LEAST_PARAGRAPH_WORDS = 5
MOST_HEADING_WORDS = 12
CLAUSE_END = re.compile(r"[,;:\u2014\u2013](?=\s)|\n|[\uff0c\u3001\uff1b\uff1a]")


class Border(IntEnum):
    """How well a text can be cut after a piece: the lower, the better."""

    PARAGRAPH = 0
    SENTENCE = 1
    HEADING = 2  # what follows a heading belongs to it
    CLAUSE = 3
    WORD = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """`text[start:end]` of a document, without white space at either end, and what kind of cut follows it."""

    start: int
    end: int
    border: Border


def cut_pieces(text: str) -> list[Piece]:
    """Return the pieces of a document in order: all of it except the white space between them."""
    gaps = [gap.start() for gap in PARAGRAPH_GAP.finditer(text)]
    pieces: list[Piece] = []
    for start, end in _part(text, 0, len(text), gaps, least_words=LEAST_PARAGRAPH_WORDS):
        pieces.extend(_cut_paragraph(text, start, end))
    return pieces


def _cut_paragraph(text: str, start: int, end: int) -> Iterator[Piece]:
    border = Border.HEADING if _is_heading(text[start:end].strip()) else Border.PARAGRAPH
    yield from _cut(text, start, end, border, tuple(FIND_CUTS))


def _is_heading(paragraph: str) -> bool:
    """Return whether a paragraph looks like a heading: short, one line, no mark at its end."""
    if "\n" in paragraph or not paragraph[-1:].isalnum():
        return False
    return 0 < count_words(paragraph) <= MOST_HEADING_WORDS


def _cut(text: str, start: int, end: int, border: Border, finer: tuple[Border, ...]) -> Iterator[Piece]:
    """Yield the pieces of `text[start:end]`. The last has this border, the others a finer one."""
    start, end = strip_span(text, start, end)
    if start == end:
        return
    if not finer or _count_words(text, start, end, most=MOST_PIECE_WORDS + 1) <= MOST_PIECE_WORDS:
        yield Piece(start, end, border)
        return
    cuts = FIND_CUTS[finer[0]](text, start, end)
    for part_start, part_end in _part(text, start, end, cuts, least_words=LEAST_PIECE_WORDS):
        part_border = border if part_end == end else finer[0]
        yield from _cut(text, part_start, part_end, part_border, finer[1:])


def _part(text: str, start: int, end: int, cuts: list[int], *, least_words: int) -> Iterator[tuple[int, int]]:
    """Yield `text[start:end]` in parts between these cuts, leaving out those that come too early.

    Words are counted from cut to cut. Recounting a part at each cut would take hours for a text of dots.
    """
    words = 0
    counted_to = start
    for cut in cuts:
        words += _count_words(text, counted_to, cut, most=least_words)
        counted_to = cut
        if words >= least_words and cut < end:
            yield start, cut
            start = cut
            words = 0
    yield start, end


def _clause_ends(text: str, start: int, end: int) -> list[int]:
    return [match.end() for match in CLAUSE_END.finditer(text, start, end)]


def _word_starts(text: str, start: int, end: int) -> list[int]:
    """Return where every hundredth word begins."""
    starts = [match.start() for match in WORD.finditer(text, start, end)]
    return starts[MOST_PIECE_WORDS::MOST_PIECE_WORDS]


def _count_words(text: str, start: int, end: int, *, most: int) -> int:
    """Return the number of words in `text[start:end]`, counting no further than `most`."""
    return sum(1 for _ in islice(WORD.finditer(text, start, end), most))


# The kinds of cut, from the best to the worst, and the positions at which each is possible.
FIND_CUTS: dict[Border, Callable[[str, int, int], list[int]]] = {
    Border.SENTENCE: sentence_ends,
    Border.CLAUSE: _clause_ends,
    Border.WORD: _word_starts,
}


# How much text a training takes, and how it is cut.

# What can be wrong with a corpus. Plain exceptions: this package knows neither Django nor a language.


class CorpusTooSmall(Exception):
    """Without duplicates, the documents have fewer words than a training needs."""

    def __init__(self, words: int, least: int) -> None:
        super().__init__(f"{words} usable words, at least {least} are needed")
        self.words = words
        self.least = least


class NothingHeldOut(Exception):
    """Every held-out passage was left out, so nothing could measure the training."""


@dataclass(frozen=True)
class CorpusLimits:
    """Bounds of a corpus. Tests and operators change them; the defaults are those of docs/training.md."""

    least_words: int = 3_000  # fewer are refused
    small_words: int = 10_000  # fewer are warned about
    most_bytes: int = 5_000_000  # UTF-8; of more text an even sample is taken
    sample_block_words: int = 2_000  # a sample is taken in stretches of this length

    held_out_percent: int = 10
    least_held_out_words: int = 1_500
    # Whole documents are held out only while they take no more of the text than this.
    most_held_out_percent: int = 20

    least_passage_words: int = 120
    most_passage_words: int = 350
    least_fragment_words: int = 8  # shorter remainders between dropped paragraphs teach nothing

    # Formulas like "Please find attached" are the writer's habit, not duplicates.
    least_duplicate_words: int = 12
    duplicate_percent: int = 50  # of a paragraph's or passage's 8-word shingles

    def __post_init__(self) -> None:
        # Pieces are joined until they are long enough, and a remainder joins the passage before it. The
        # result must still be short enough, or some texts couldn't be cut at all.
        if self.most_passage_words < 2 * self.least_passage_words + MOST_PIECE_WORDS:
            raise ValueError("the longest passage must hold two of the shortest and a piece")

    @property
    def passage_words(self) -> int:
        """The length that passages aim at, which is also the gap before a held-out tail."""
        return (self.least_passage_words + self.most_passage_words) // 2


STANDARD_LIMITS = CorpusLimits()
