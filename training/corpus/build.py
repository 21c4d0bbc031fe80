"""From documents to a corpus: sample, split, drop duplicates, cut."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from training.corpus.passages import Passage, cut_passages, draw, make_passage, sample_evenly
from training.corpus.pieces import (
    STANDARD_LIMITS,
    Border,
    CorpusLimits,
    CorpusTooSmall,
    NothingHeldOut,
    SourceDocument,
)
from training.corpus.worksheet import Run, Use, Worksheet

# What is held out: whole documents if there are enough, otherwise the ends of long ones.

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


# Duplicates: copies, quotations and lightly changed versions.
#
# A text is a duplicate if at least half of its 8-word shingles have been seen before. Two texts whose
# shingles have a Jaccard index of 0.5 or more are always caught: what they share is then at least half of
# either. Unlike a comparison of pairs, this also finds a copy that was cut elsewhere, and it takes one
# look-up per word.


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


@dataclass(frozen=True)
class DroppedDuplicates:
    """How much was dropped as a duplicate."""

    paragraphs: int
    passages: int
    words: int


@dataclass(frozen=True)
class CorpusReport:
    """What was understood of the documents. Each word is counted in exactly one of the counts of words."""

    documents: int
    words: int  # in all documents, as they came
    learned_words: int
    held_out_words: int
    gap_words: int  # between what is learned and what is held out of one document
    fragment_words: int  # in remainders of a few words between duplicates
    unsampled_words: int  # beyond the maximum of text
    left_out_words: int  # in passages that a person left out
    duplicates_dropped: DroppedDuplicates
    languages: tuple[tuple[str, int], ...]  # code and words, the most words first
    quotation_share: float  # of all words, between 0 and 1
    sampled: bool
    held_out_documents: bool  # whole documents are held out; if not, the ends of long ones

    @property
    def usable_words(self) -> int:
        """Words without duplicates, within the limits. They decide whether a corpus is too small."""
        return self.learned_words + self.held_out_words + self.gap_words


@dataclass(frozen=True)
class Corpus:
    """What is learned, what is held out to measure it, and a report of how they were chosen."""

    learned: tuple[Passage, ...]
    held_out: tuple[Passage, ...]
    report: CorpusReport
    limits: CorpusLimits

    @property
    def sha256(self) -> str:
        """The hash (hexadecimal) of everything that examples are made from.

        It depends on the texts alone, not on the order and the ids of their documents.
        """
        content = {"learned": _digests(self.learned), "held_out": _digests(self.held_out)}
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def build_corpus(
    documents: Sequence[SourceDocument], *, seed: int, limits: CorpusLimits = STANDARD_LIMITS
) -> Corpus:
    """Return the corpus of some documents: the same one for the same documents, seed and limits.

    Raises CorpusTooSmall if too few words are left once duplicates are dropped.
    """
    sheet = Worksheet(documents)
    sampled = sample_evenly(sheet, most_bytes=limits.most_bytes, block_words=limits.sample_block_words)
    unique_words = count_unique_words(sheet, limits)
    by_document = hold_out(sheet, unique_words, seed=seed, limits=limits)
    duplicate_paragraphs = drop_duplicate_paragraphs(sheet, limits)
    held_out_runs = _cut_stretches(sheet, Use.HELD_OUT, limits)
    learned_runs = _cut_stretches(sheet, Use.LEARNED, limits)
    held_out, learned = drop_duplicate_passages(sheet, held_out_runs, learned_runs, limits)
    words = sheet.words_by_use()
    report = CorpusReport(
        documents=len(documents),
        words=sum(words.values()),
        learned_words=words[Use.LEARNED],
        held_out_words=words[Use.HELD_OUT],
        gap_words=words[Use.GAP],
        fragment_words=words[Use.FRAGMENT],
        unsampled_words=words[Use.UNSAMPLED],
        left_out_words=0,
        duplicates_dropped=DroppedDuplicates(
            paragraphs=duplicate_paragraphs,
            passages=len(held_out_runs) + len(learned_runs) - len(held_out) - len(learned),
            words=words[Use.DUPLICATE],
        ),
        languages=_count_languages(sheet),
        quotation_share=_quotation_share(sheet),
        sampled=sampled,
        held_out_documents=by_document,
    )
    corpus = Corpus(
        learned=tuple(make_passage(sheet, run) for run in learned),
        held_out=tuple(make_passage(sheet, run) for run in held_out),
        report=report,
        limits=limits,
    )
    _refuse_if_small(corpus)
    return corpus


def without(corpus: Corpus, passage_ids: Collection[str]) -> Corpus:
    """Return the corpus without some passages; nothing else moves between learned and held out.

    Raises CorpusTooSmall if too few words are left, NothingHeldOut if nothing could measure the rest.
    """
    left_out = frozenset(passage_ids)
    learned = tuple(passage for passage in corpus.learned if passage.id not in left_out)
    held_out = tuple(passage for passage in corpus.held_out if passage.id not in left_out)
    before = corpus.report
    learned_words = _count_words(learned)
    held_out_words = _count_words(held_out)
    left_out_words = before.learned_words + before.held_out_words - learned_words - held_out_words
    report = replace(
        before,
        learned_words=learned_words,
        held_out_words=held_out_words,
        left_out_words=before.left_out_words + left_out_words,
    )
    smaller = replace(corpus, learned=learned, held_out=held_out, report=report)
    if learned and not held_out:
        raise NothingHeldOut
    _refuse_if_small(smaller)
    return smaller


def _cut_stretches(sheet: Worksheet, use: Use, limits: CorpusLimits) -> list[Run]:
    """Return the passages of one use. A remainder of a few words is a fragment."""
    runs = []
    for stretch in sheet.stretches(use):
        if sheet.words_of(stretch) < limits.least_fragment_words:
            sheet.assign(stretch, Use.FRAGMENT)
        else:
            runs.extend(cut_passages(sheet, stretch, limits))
    return runs


def _count_languages(sheet: Worksheet) -> tuple[tuple[str, int], ...]:
    words: Counter[str] = Counter()
    for document in sheet.whole_documents():
        words[sheet.document_of(document).language] += sheet.words_of(document)
    return tuple(sorted(words.items(), key=lambda item: (-item[1], item[0])))


def _quotation_share(sheet: Worksheet) -> float:
    """Return which part of all words is quoted, by what reading found in each document."""
    words = 0
    quoted = 0.0
    for document in sheet.whole_documents():
        words += sheet.words_of(document)
        quoted += sheet.words_of(document) * sheet.document_of(document).quotation_share
    return round(quoted / words, 3) if words else 0.0


def _refuse_if_small(corpus: Corpus) -> None:
    least = corpus.limits.least_words
    usable = corpus.report.usable_words
    if usable < least:
        raise CorpusTooSmall(usable, least)
    if not corpus.learned or not corpus.held_out:
        # All of one side repeats the other: there is less text than the number of words suggests.
        raise CorpusTooSmall(min(corpus.report.learned_words, corpus.report.held_out_words), least)


def _count_words(passages: Iterable[Passage]) -> int:
    return sum(passage.words for passage in passages)


def _digests(passages: Iterable[Passage]) -> list[list[str]]:
    digests = []
    for passage in passages:
        digests.append([hashlib.sha256(passage.text.encode()).hexdigest(), passage.language])
    return sorted(digests)
