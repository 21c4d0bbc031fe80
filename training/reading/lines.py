"""Lines → paragraphs: which line breaks were added to fit a width, and which ones the writer made."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from lxml import etree

from training.reading.characters import collapse_spaces
from training.reading.documents import Refused
from training.reading.drafts import Draft, Paragraph
from training.reading.limits import MIB, ReadingLimits

# XML and HTML → paragraphs, event by event. No tree is built, so a deep or endless file only costs time.
#
# lxml parses both, with everything disabled that reaches beyond the file: entities are not expanded, no DTD
# is loaded, no address is opened. A document type declaration in XML is refused: neither Word nor
# LibreOffice writes one, and attacks by entities need it.

LARGEST_TREE_BYTES = 4 * MIB  # of a list of a package's parts


class ParagraphTarget:
    """Collects paragraphs while a document is parsed. Subclasses know its elements."""

    def __init__(self, limits: ReadingLimits) -> None:
        self.draft = Draft()
        self._limit_bytes = limits.text_bytes
        self._left_characters = limits.text_bytes
        self._pieces: list[str] = []
        self._skipped_depth = 0  # elements that are open within one whose content is left out
        self._quoted_depth = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take the start of an element."""
        if self._skipped_depth or self.is_skipped(tag, attributes):
            self._skipped_depth += 1
        else:
            self.open_element(tag, attributes)

    def end(self, tag: str) -> None:
        """Take the end of an element."""
        if self._skipped_depth:
            self._skipped_depth -= 1
        else:
            self.close_element(tag)

    def data(self, text: str) -> None:
        """Take text."""
        if not self._skipped_depth:
            self.add_text(text)

    def close(self) -> Draft:
        """Return what was found."""
        self.end_paragraph()
        return self.draft

    def is_skipped(self, tag: str, attributes: Mapping[str, str]) -> bool:
        """Return whether an element is left out with all its content."""
        raise NotImplementedError

    def open_element(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take the start of an element that is not left out."""
        raise NotImplementedError

    def close_element(self, tag: str) -> None:
        """Take the end of an element that is not left out."""
        raise NotImplementedError

    def add_text(self, text: str) -> None:
        """Add text to the paragraph. Raises Refused once the document has too much."""
        self._left_characters -= len(text)
        if self._left_characters < 0:
            raise Refused("too_long", limit_mb=self._limit_bytes // MIB)
        self._pieces.append(text)

    def end_paragraph(self) -> None:
        """Begin a new paragraph."""
        text = "".join(self._pieces)
        self._pieces.clear()
        if text and not text.isspace():
            self.draft.paragraphs.append(Paragraph(text, is_quoted=self._quoted_depth > 0))


class XmlTarget(ParagraphTarget):
    """A target for XML."""

    def doctype(self, _name: str, _public: str, _system: str) -> None:
        """Refuse a document type declaration."""
        raise Refused("document_type")


def parse_xml(chunks: Iterable[bytes], target: XmlTarget) -> Draft:
    """Feed XML to a target. Raises Refused, etree.XMLSyntaxError."""
    parser = etree.XMLParser(
        target=target, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    for chunk in chunks:
        parser.feed(chunk)
    draft: Draft = parser.close()
    return draft


def parse_tree(content: bytes) -> etree._Element:
    """Return the elements of a small XML file. Raises Refused, etree.XMLSyntaxError."""
    if len(content) > LARGEST_TREE_BYTES:
        raise Refused("damaged")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return etree.fromstring(content, parser)


# Running heads, running feet and page numbers: lines at the edges of pages that don't belong to the text.

EDGE_LINES = 2  # a head and a rule or number below it
NEAR_PAGES = 4  # heads differ between left and right pages, and with each chapter
LEAST_REPEATS = 3
DIGITS = re.compile(r"\d+")
LETTER = re.compile(r"[^\W\d_]")
PAGE_NUMBER = re.compile(
    r"\W{0,4}(?:page|seite|página|pagina|s\.|p\.)?\s?(\d{1,4})(?:\s?(?:of|von|de|di|/)\s?\d{1,4})?\W{0,4}",
    re.IGNORECASE,
)

type Place = tuple[int, int]  # the page's index, and the line's on it


@dataclass
class EdgeLines:
    """Places of lines to leave out."""

    running_heads: set[Place] = field(default_factory=set)
    page_numbers: set[Place] = field(default_factory=set)

    def __contains__(self, place: Place) -> bool:
        return place in self.running_heads or place in self.page_numbers


def find_edge_lines(pages: Sequence[Sequence[str]]) -> EdgeLines:
    """Return which lines of pages are heads, feet and page numbers; lines are given from top to bottom."""
    found = EdgeLines(running_heads=_find_running_heads(pages))
    found.page_numbers = _find_page_numbers(pages, found.running_heads)
    return found


def _find_running_heads(pages: Sequence[Sequence[str]]) -> set[Place]:
    """Return edge lines that, apart from numbers, repeat on LEAST_REPEATS or more pages near each other."""
    places: dict[tuple[bool, str], list[Place]] = defaultdict(list)
    for page, lines in enumerate(pages):
        for line, is_top in _edges(lines):
            if LETTER.search(lines[line]):  # a row of asterisks divides scenes
                places[is_top, _without_digits(lines[line])].append((page, line))
    repeated: set[Place] = set()
    for alike in places.values():
        for start in range(len(alike) - LEAST_REPEATS + 1):
            near = alike[start : start + LEAST_REPEATS]
            if near[-1][0] - near[0][0] <= NEAR_PAGES * (LEAST_REPEATS - 1):
                repeated.update(near)
    return repeated


def _find_page_numbers(pages: Sequence[Sequence[str]], heads: set[Place]) -> set[Place]:
    """Return outermost lines that consist of a number which increases with the pages."""
    numbered: dict[int, list[Place]] = defaultdict(list)  # how far a number is ahead of its page
    for page, lines in enumerate(pages):
        rest = [line for line in _filled(lines) if (page, line) not in heads]
        for line in {*rest[:1], *rest[-1:]}:
            number = PAGE_NUMBER.fullmatch(lines[line].strip())
            if number:
                numbered[int(number.group(1)) - page].append((page, line))
    counted: set[Place] = set()
    for difference, places in numbered.items():
        is_whole_document = difference == 1 and len(places) == len(pages)
        if is_whole_document or len(places) >= LEAST_REPEATS:
            counted.update(places)
    return counted


def _edges(lines: Sequence[str]) -> list[tuple[int, bool]]:
    """Return the lines at both edges of a page, and whether each is at its top."""
    filled = _filled(lines)
    top = filled[:EDGE_LINES]
    bottom = filled[len(top) :][-EDGE_LINES:]
    return [*((line, True) for line in top), *((line, False) for line in bottom)]


def _filled(lines: Sequence[str]) -> list[int]:
    """Return which lines are not blank."""
    return [index for index, line in enumerate(lines) if line.strip()]


def _without_digits(line: str) -> str:
    return DIGITS.sub("#", " ".join(line.casefold().split()))


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
