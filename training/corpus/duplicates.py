"""Duplicates: copies, quotations and lightly changed versions.

A text is a duplicate if at least half of its 8-word shingles have been seen before. Two texts whose shingles
have a Jaccard index of 0.5 or more are always caught: what they share is then at least half of either. Unlike
a comparison of pairs, this also finds a copy that was cut elsewhere, and it takes one look-up per word.
"""

from collections.abc import Iterable

from training.corpus.limits import CorpusLimits
from training.corpus.worksheet import Run, Use, Worksheet


class SeenShingles:
    """The shingles of all texts kept so far."""

    def __init__(self, sheet: Worksheet, limits: CorpusLimits) -> None:
        self._sheet = sheet
        self._limits = limits
        self._seen: set[int] = set()

    def add(self, run: Run) -> None:
        """Remember a text."""
        self._seen |= self._sheet.shingles_of(run)

    def repeats(self, run: Run) -> bool:
        """Return whether a text repeats earlier ones; remember it if not."""
        shingles = self._sheet.shingles_of(run)
        repeated = len(shingles & self._seen)
        if repeated and repeated * 100 >= len(shingles) * self._limits.duplicate_percent:
            return True
        self._seen |= shingles
        return False

    def repeats_paragraph(self, paragraph: Run) -> bool:
        """Do the same for a paragraph, unless it is so short that it may be a formula."""
        return self._sheet.words_of(paragraph) >= self._limits.least_duplicate_words and self.repeats(
            paragraph
        )


def count_unique_words(sheet: Worksheet, limits: CorpusLimits) -> list[int]:
    """Return for each document the words of the paragraphs that no earlier document or paragraph has.

    It is 0 for a document that repeats all but a few lines, which are too short to compare.
    """
    seen = SeenShingles(sheet, limits)
    all_words = sheet.words_by_document(Use.LEARNED)
    repeated_words = [0] * len(all_words)
    for paragraph in sheet.paragraphs(Use.LEARNED):
        if seen.repeats_paragraph(paragraph):
            repeated_words[sheet.document_numbers[paragraph.first]] += sheet.words_of(paragraph)
    unique_words = []
    for words, repeated in zip(all_words, repeated_words, strict=True):
        is_copy = repeated * 2 > words and words - repeated < limits.least_passage_words
        unique_words.append(0 if is_copy else words - repeated)
    return unique_words


def drop_duplicate_paragraphs(sheet: Worksheet, limits: CorpusLimits) -> int:
    """Mark paragraphs that others repeat as duplicates; return how many.

    What is held out comes first, so of two copies the learned one is dropped. Gaps aren't learned either.
    """
    seen = SeenShingles(sheet, limits)
    dropped = _drop(sheet, sheet.paragraphs(Use.HELD_OUT), seen)
    _add_stretches(sheet, seen)
    return dropped + _drop(sheet, sheet.paragraphs(Use.LEARNED), seen)


def _add_stretches(sheet: Worksheet, seen: SeenShingles) -> None:
    """Remember what must not be learned as a whole: a copy may be cut elsewhere."""
    for use in (Use.HELD_OUT, Use.GAP):
        for stretch in sheet.stretches(use):
            seen.add(stretch)


def _drop(sheet: Worksheet, paragraphs: Iterable[Run], seen: SeenShingles) -> int:
    repeated = list(filter(seen.repeats_paragraph, paragraphs))
    for paragraph in repeated:
        sheet.assign(paragraph, Use.DUPLICATE)
    return len(repeated)


def drop_duplicate_passages(
    sheet: Worksheet, held_out: list[Run], learned: list[Run], limits: CorpusLimits
) -> tuple[list[Run], list[Run]]:
    """Return the held-out and the learned passages without those that repeat others.

    This finds duplicates whose paragraphs are too short to compare: conversations and poems.
    """
    seen = SeenShingles(sheet, limits)
    kept_held_out = _keep(sheet, held_out, seen)
    _add_stretches(sheet, seen)
    return kept_held_out, _keep(sheet, learned, seen)


def _keep(sheet: Worksheet, passages: list[Run], seen: SeenShingles) -> list[Run]:
    kept = []
    for passage in passages:
        if seen.repeats(passage):
            sheet.assign(passage, Use.DUPLICATE)
        else:
            kept.append(passage)
    return kept
