"""From documents to a corpus: sample, split, drop duplicates, cut."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from training.corpus.documents import SourceDocument
from training.corpus.duplicates import count_unique_words, drop_duplicate_paragraphs, drop_duplicate_passages
from training.corpus.errors import CorpusTooSmall, NothingHeldOut
from training.corpus.limits import STANDARD_LIMITS, CorpusLimits
from training.corpus.passages import Passage, cut_passages, make_passage
from training.corpus.sampling import sample_evenly
from training.corpus.split import hold_out
from training.corpus.worksheet import Run, Use, Worksheet


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
