"""Passages: stretches of text of 120 to 350 words, cut where a reader would pause."""

import hashlib
from dataclasses import dataclass

from training.corpus.limits import CorpusLimits
from training.corpus.pieces import Border
from training.corpus.worksheet import Run, Worksheet

ID_LETTERS = 16
# What a cut costs in addition to the squared difference (words²) from the desired length: a sentence is only
# cut off its paragraph if the passage would otherwise miss that length by some hundred words.
CUT_COSTS = {
    Border.PARAGRAPH: 0,
    Border.SENTENCE: 100**2,
    Border.HEADING: 150**2,
    Border.CLAUSE: 200**2,
    Border.WORD: 300**2,
}
TOO_SHORT_COST = 10**9


@dataclass(frozen=True)
class Passage:
    """A stretch of one document. Its id is a hash of its text, so it stays the same in a later build."""

    id: str
    document_id: str
    text: str
    words: int
    language: str


def make_passage(sheet: Worksheet, run: Run) -> Passage:
    """Return a run of pieces as a passage."""
    document = sheet.document_of(run)
    text = sheet.text_of(run)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Passage(digest[:ID_LETTERS], document.id, text, sheet.words_of(run), document.language)


def cut_passages(sheet: Worksheet, stretch: Run, limits: CorpusLimits) -> list[Run]:
    """Return the runs into which a stretch is best cut. Together they are the stretch.

    All are within the limits, except that a stretch shorter than the shortest passage stays whole. The best
    cuts up to each piece follow from the best cuts up to the pieces before it.
    """
    costs = [0]
    starts = [stretch.first]
    for end in range(stretch.first + 1, stretch.end + 1):
        cut_cost = 0 if end == stretch.end else CUT_COSTS[sheet.pieces[end - 1].border]
        best_cost, best_start = _best_start(sheet, stretch.first, end, costs, limits)
        costs.append(best_cost + cut_cost)
        starts.append(best_start)
    runs = []
    end = stretch.end
    while end > stretch.first:
        start = starts[end - stretch.first]
        runs.append(Run(start, end))
        end = start
    runs.reverse()
    return runs


def _best_start(
    sheet: Worksheet, first: int, end: int, costs: list[int], limits: CorpusLimits
) -> tuple[int, int]:
    """Return the cost and the first piece of the best passage before `end`, with all passages before it."""
    end_words = sheet.first_words[end]
    best_start = end - 1
    best_cost: int | None = None
    for start in range(end - 1, first - 1, -1):
        words = end_words - sheet.first_words[start]
        if words > limits.most_passage_words:
            break
        cost = costs[start - first] + (words - limits.passage_words) ** 2
        if words < limits.least_passage_words:
            cost += TOO_SHORT_COST
        if best_cost is None or cost < best_cost:
            best_cost = cost
            best_start = start
    assert best_cost is not None, "a piece is shorter than a passage"
    return best_cost, best_start
