"""Passages: stretches of text of 120 to 350 words, cut where a reader would pause."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from training.corpus.pieces import Border, CorpusLimits
from training.corpus.worksheet import Run, Use, Worksheet

# What is drawn at random, and an even sample of a corpus that is too large.


def draw(seed: int, name: str) -> bytes:
    """Return random bytes that depend on the seed and a name alone, not on what else there is."""
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()


def sample_evenly(sheet: Worksheet, *, most_bytes: int, block_words: int) -> bool:
    """Leave out blocks from all over the documents until at most `most_bytes` of UTF-8 are left.

    Returns whether anything had to be left out.
    """
    blocks = list(_blocks(sheet, block_words))
    sizes = [len(sheet.text_of(block).encode()) for block in blocks]
    total_bytes = sum(sizes)
    if total_bytes <= most_bytes:
        return False
    seen_bytes = 0
    kept_bytes = 0
    for block, size in zip(blocks, sizes, strict=True):
        seen_bytes += size
        # Never more than its share of what was seen so far: so the sample is even, and ends within the limit.
        if (kept_bytes + size) * total_bytes <= seen_bytes * most_bytes:
            kept_bytes += size
        else:
            sheet.assign(block, Use.UNSAMPLED)
    return True


def _blocks(sheet: Worksheet, block_words: int) -> Iterator[Run]:
    """Yield runs of at least `block_words` words, or the remainder of a document."""
    for document in sheet.stretches(Use.LEARNED):
        first = document.first
        for number in range(document.first, document.end):
            block = Run(first, number + 1)
            if sheet.words_of(block) >= block_words or block.end == document.end:
                yield block
                first = block.end


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
