"""Lines → paragraphs: which line breaks were added to fit a width, and which ones the writer made."""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise

from training.reading.characters import collapse_spaces

NARROWEST_WRAP = 40  # characters; shorter lines are verse, addresses, lists
WIDEST_WRAP = 120  # nobody wraps wider: longer lines are paragraphs, one per line
FULL_SHARE = 0.8  # of a wrapped paragraph's lines; the others were edited by hand
# Measured on 32 typed novels: prose in two was balanced, and no verse had such lines.
NARROWEST_BALANCED = 60
LONG_LINE = 0.75  # of the width
LONG_SHARE = 0.9
DASHES = ("--", "—", "\N{EN DASH}")
HYPHENS = ("-", "\N{HYPHEN}")

LETTERS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
ENDS_WITH_HYPHEN = re.compile(r"([^\W\d_]+)[-\u2010]$")
BEGINS_WITH_LETTERS = re.compile(r"[^\W\d_]+")


class Hyphenation:
    """Joins lines. A hyphen at a line's end goes if the document has the word without it elsewhere.

    `is_typeset`: a word that is not elsewhere was divided to fill the line, as typesetters do.
    Otherwise such a hyphen is the word's own, as in a plain text, whose lines are broken only at blanks.
    """

    def __init__(self, texts: Iterable[str], *, is_typeset: bool = False) -> None:
        self._texts = texts
        self._is_typeset = is_typeset
        self.removed = 0

    def join(self, lines: Sequence[str]) -> str:
        """Return lines as one."""
        joined = [lines[0]]
        for line in lines[1:]:
            joined[-1], separator = self._end(joined[-1], line)
            joined += [separator, line]
        return "".join(joined)

    def _end(self, line: str, following: str) -> tuple[str, str]:
        """Return a line without a dividing hyphen, and the separator before the next one."""
        divided = ENDS_WITH_HYPHEN.search(line)
        continued = BEGINS_WITH_LETTERS.match(following)
        if divided and continued:
            if self._is_divided(divided.group(1), continued.group()):
                self.removed += 1
                return line[:-1], ""
            return line, ""
        is_bare_dash = line.endswith(DASHES) and line.rstrip("-—\N{EN DASH}")[-1:].isalnum()
        return line, "" if is_bare_dash else " "

    def _is_divided(self, head: str, tail: str) -> bool:
        if not tail.islower():
            return False
        if f"{head}{tail}".lower() in self._words:
            return True
        return self._is_typeset and f"{head}-{tail}".lower() not in self._words

    @cached_property
    def _words(self) -> set[str]:
        """All words of the document, collected only if a line ends with a hyphen."""
        words: set[str] = set()
        for text in self._texts:
            words.update(LETTERS.findall(text.lower()))
        return words


def divide_block(block: str, hyphenation: Hyphenation) -> list[str]:
    """Return the paragraphs of lines without a blank line between them.

    The decision depends on the block alone, and its result divides into itself.
    """
    raw_lines = [line for line in block.split("\n") if line.strip()]
    lines = [collapse_spaces(line) for line in raw_lines]
    if len(lines) < 2:
        return lines
    width = max(map(len, lines))
    if width > WIDEST_WRAP:
        return lines
    if width < NARROWEST_WRAP:
        return ["\n".join(lines)]
    pieces = _split_at_indents(raw_lines)
    if len(pieces) > 1 and _are_all_wrapped(pieces):
        return [hyphenation.join([collapse_spaces(line) for line in piece]) for piece in pieces]
    return [hyphenation.join(lines) if _is_wrapped(lines, width) else "\n".join(lines)]


def _is_wrapped(lines: Sequence[str], width: int) -> bool:
    """Return whether lines are full: the first word of the next line would not have fitted.

    If lines were balanced by a program or broken by eye instead, nearly all are long.
    """
    full = long = 0
    for line, following in pairwise(lines):
        first_word = following.split(maxsplit=1)[0]
        full += line.endswith(HYPHENS) or len(line) + 1 + len(first_word) > width
        long += len(line) >= LONG_LINE * width
    breaks = len(lines) - 1
    return full >= FULL_SHARE * breaks or (width >= NARROWEST_BALANCED and long >= LONG_SHARE * breaks)


def _are_all_wrapped(pieces: Sequence[Sequence[str]]) -> bool:
    """Return whether all pieces of a block are wrapped, including their indents."""
    width = max(len(line) for piece in pieces for line in piece)
    longer = [piece for piece in pieces if len(piece) > 1]
    return bool(longer) and all(_is_wrapped(piece, width) for piece in longer)


def _split_at_indents(raw_lines: Sequence[str]) -> list[list[str]]:
    """Return lines in pieces, each of which begins with an indented line."""
    lines = [line.expandtabs().rstrip() for line in raw_lines]
    indents = [len(line) - len(line.lstrip()) for line in lines]
    least = min(indents)
    pieces: list[list[str]] = []
    for indent, line in zip(indents, lines, strict=True):
        if indent > least or not pieces:
            pieces.append([])
        pieces[-1].append(line)
    return pieces
