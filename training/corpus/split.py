"""What is held out: whole documents if there are enough, otherwise the ends of long ones."""

from collections.abc import Sequence

from training.corpus.limits import CorpusLimits
from training.corpus.pieces import Border
from training.corpus.sampling import draw
from training.corpus.worksheet import Run, Use, Worksheet

LONG_DOCUMENT_WORDS = 1_200  # a tenth of it is a passage


def hold_out(sheet: Worksheet, unique_words: Sequence[int], *, seed: int, limits: CorpusLimits) -> bool:
    """Mark what is held out; return whether it is whole documents.

    `unique_words` has the words of each document that no earlier one has. A document that the rest repeats
    would hold out nothing new.
    """
    chosen = choose_documents(sheet, unique_words, seed=seed, limits=limits)
    if chosen is None:
        _hold_out_tails(sheet, unique_words, limits)
        return False
    for stretch in sheet.stretches(Use.LEARNED):
        if sheet.document_numbers[stretch.first] in chosen:
            sheet.assign(stretch, Use.HELD_OUT)
    return True


def choose_documents(
    sheet: Worksheet, unique_words: Sequence[int], *, seed: int, limits: CorpusLimits
) -> set[int] | None:
    """Return the numbers of the documents to hold out, or None if that would take too much of the text.

    Documents are drawn in an order that depends on the seed and their texts alone: the same files uploaded
    again, in another order, are split in the same way.
    """
    total_words = sum(unique_words)
    written = [number for number, words in enumerate(unique_words) if words]
    least_documents = -(-len(written) * limits.held_out_percent // 100)
    most_words = _most_held_out_words(total_words, limits)
    chosen: set[int] = set()
    held_out_words = 0
    for number in sorted(written, key=lambda number: draw(seed, sheet.documents[number].text)):
        if len(chosen) >= least_documents and held_out_words >= limits.least_held_out_words:
            break
        if held_out_words + unique_words[number] <= most_words:
            chosen.add(number)
            held_out_words += unique_words[number]
    return chosen if held_out_words >= limits.least_held_out_words else None


def _most_held_out_words(total_words: int, limits: CorpusLimits) -> int:
    """Return how much whole documents may take; more of a small corpus, as a tail and its gap would, too."""
    share = total_words * limits.most_held_out_percent // 100
    return max(share, min(limits.least_held_out_words * 3, total_words) // 2)


def _hold_out_tails(sheet: Worksheet, unique_words: Sequence[int], limits: CorpusLimits) -> None:
    """Hold out the end of each long document, with a gap of one passage before it."""
    long_words = _long_documents(unique_words)
    held_out_words = max(
        sum(unique_words) * limits.held_out_percent // 100,
        limits.least_held_out_words,
    )
    for document in sheet.whole_documents():
        words = long_words.get(sheet.document_numbers[document.first], 0)
        if words:
            share_words = -(-held_out_words * words // sum(long_words.values()))
            tail = _mark_end(sheet, document, share_words, Use.HELD_OUT, limits)
            _mark_end(sheet, Run(document.first, tail), limits.passage_words, Use.GAP, limits)


def _long_documents(unique_words: Sequence[int]) -> dict[int, int]:
    """Return the words of long documents, or of all documents if none is long."""
    all_words = dict(enumerate(unique_words))
    long_words = {number: words for number, words in all_words.items() if words >= LONG_DOCUMENT_WORDS}
    return long_words or all_words


def _mark_end(sheet: Worksheet, run: Run, least_words: int, use: Use, limits: CorpusLimits) -> int:
    """Mark at least `least_words` at the end of a run, from a paragraph's start on; return where that is."""
    words = 0
    for number in range(run.end - 1, run.first - 1, -1):
        # What isn't in the sample is neither learned nor held out.
        if sheet.uses[number] is Use.LEARNED:
            sheet.uses[number] = use
            words += sheet.words[number]
        # Only an endless paragraph is cut: otherwise it would take the whole document.
        is_cut_here = number == run.first or sheet.pieces[number - 1].border is Border.PARAGRAPH
        if words >= least_words + (0 if is_cut_here else limits.most_passage_words):
            return number
    return run.first
