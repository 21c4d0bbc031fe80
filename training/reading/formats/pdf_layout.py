"""Lines on pages → paragraphs. A PDF has no paragraphs: gaps, indents and short lines show where they end."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from training.reading.drafts import Draft, Paragraph
from training.reading.lines import Hyphenation
from training.reading.pages import find_edge_lines

# Parts of a letter's size.
INDENT = 0.4
OTHER_SIZE = 0.15
GAP = 1.3  # times the usual distance of two lines
SHORT_SHARE = 0.6  # of a column's width: a line that ends there was ended
COLUMN_SHARE = 0.15  # of a page's lines begin where a column does
NARROWEST_COLUMN = 80  # points; what begins nearer to a margin is indented
USUAL_SHARE = 0.9
SENTENCE_ENDS = tuple('.!?…:;)]"“”«»\u2018\u2019')


@dataclass(frozen=True)
class Line:
    """A line and its place, in points from the page's lower left corner."""

    text: str
    left: float
    right: float
    baseline: float
    size: float  # of its letters

    @property
    def letter_width(self) -> float:
        """How wide a letter is on average."""
        return max(0.0, self.right - self.left) / max(1, len(self.text))


@dataclass(frozen=True)
class Placed:
    """A line within its column."""

    line: Line
    page: int
    indent: float  # from the column's left margin
    column_end: float  # the column's right margin
    leading: float  # how far lines of this page are usually apart

    def leaves_room_for(self, word: str) -> bool:
        """Return whether a word would still have fitted behind the line, with a blank and some tolerance."""
        room = self.column_end - self.line.right
        return room > (len(word) + 1) * self.line.letter_width + self.line.size

    @property
    def is_short(self) -> bool:
        """Whether the line ends far from its column's end."""
        width = self.column_end - self.line.left + self.indent
        return self.line.right - self.line.left < SHORT_SHARE * width


def join_pages(pages: Sequence[Sequence[Line]]) -> Draft:
    """Return the paragraphs of all pages, without running heads and page numbers."""
    draft = Draft()
    kept = _drop_edges(pages, draft)
    hyphenation = Hyphenation((line.text for page in kept for line in page), is_typeset=True)
    paragraph: list[str] = []
    previous: Placed | None = None
    for placed in _place_lines(kept):
        if previous and _begins_paragraph(previous, placed):
            draft.paragraphs.append(Paragraph(hyphenation.join(paragraph)))
            paragraph = []
        paragraph.append(placed.line.text)
        previous = placed
    if paragraph:
        draft.paragraphs.append(Paragraph(hyphenation.join(paragraph)))
    draft.hyphens = hyphenation.removed
    return draft


def _drop_edges(pages: Sequence[Sequence[Line]], draft: Draft) -> list[list[Line]]:
    """Return pages without heads, feet and numbers, which are looked for from top to bottom."""
    orders = [_order_from_top(page) for page in pages]
    texts = [[page[index].text for index in order] for page, order in zip(pages, orders, strict=True)]
    edges = find_edge_lines(texts)
    draft.running_heads = len(edges.running_heads)
    draft.page_numbers = len(edges.page_numbers)
    kept = []
    for number, (page, order) in enumerate(zip(pages, orders, strict=True)):
        left_out = {index for rank, index in enumerate(order) if (number, rank) in edges}
        kept.append([line for index, line in enumerate(page) if index not in left_out])
    return kept


def _order_from_top(page: Sequence[Line]) -> list[int]:
    return sorted(range(len(page)), key=lambda index: -page[index].baseline)


def _place_lines(pages: Iterable[Sequence[Line]]) -> Iterator[Placed]:
    for number, page in enumerate(pages):
        margins = _find_margins(page)
        ends = _find_ends(page, margins)
        leading = _measure_leading(page)
        for line in page:
            margin = _margin_of(line, margins)
            yield Placed(line, number, line.left - margin, ends.get(margin, line.right), leading)


def _begins_paragraph(previous: Placed, placed: Placed) -> bool:
    """Return whether a line is the first of a paragraph."""
    line, line_before = placed.line, previous.line
    size = line.size
    if abs(size - line_before.size) > OTHER_SIZE * max(size, line_before.size):
        return True
    if placed.indent > previous.indent + INDENT * size:
        return True
    if placed.page == previous.page:
        step = line_before.baseline - line.baseline
        if placed.leading and step > GAP * placed.leading:
            return True
    ends_sentence = line_before.text.endswith(SENTENCE_ENDS)
    first_word = line.text.partition(" ")[0]
    return (ends_sentence or previous.is_short) and previous.leaves_room_for(first_word)


def _find_margins(page: Sequence[Line]) -> list[int]:
    """Return the left margins of a page's columns: where many lines begin, but not where paragraphs do."""
    starts = Counter(round(line.left) for line in page)
    least = max(2, COLUMN_SHARE * len(page))
    margins: list[int] = []
    for start in sorted(starts):
        is_common = sum(starts[start + nearby] for nearby in (-1, 0, 1)) >= least
        if is_common and (not margins or start - margins[-1] > NARROWEST_COLUMN):
            margins.append(start)
    return margins


def _margin_of(line: Line, margins: Sequence[int]) -> float:
    before = [margin for margin in margins if margin <= line.left + 1.5]
    return max(before, default=line.left)


def _find_ends(page: Sequence[Line], margins: Sequence[int]) -> dict[float, float]:
    """Return the right margin of each column, by its left one."""
    ends: dict[float, list[float]] = defaultdict(list)
    for line in page:
        ends[_margin_of(line, margins)].append(line.right)
    # A line that juts out, such as an address, makes no column wider.
    return {margin: sorted(rights)[int(USUAL_SHARE * (len(rights) - 1))] for margin, rights in ends.items()}


def _measure_leading(page: Sequence[Line]) -> float:
    """Return how far lines of a page are apart where no gap is between them; 0 if it has one line."""
    steps = []
    for line, following in pairwise(page):
        step = line.baseline - following.baseline
        if step > line.size / 2:
            steps.append(step)
    return sorted(steps)[len(steps) // 4] if steps else 0.0
