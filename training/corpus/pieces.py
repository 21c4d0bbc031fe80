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
