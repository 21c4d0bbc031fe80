"""Running heads, running feet and page numbers: lines at the edges of pages that don't belong to the text."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

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
