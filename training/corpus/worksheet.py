"""The worksheet of one build: every piece of every document, and its use."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, groupby

from training.corpus.pieces import Border, Piece, SourceDocument, cut_pieces
from training.corpus.shingles import SHINGLE_WORDS, hash_shingles
from training.text import WORD, normalize_word


class Use(Enum):
    """What a piece is used for. Each has exactly one use."""

    LEARNED = "learned"
    HELD_OUT = "held out"
    GAP = "gap"  # between what is learned and what is held out of one document
    DUPLICATE = "duplicate"
    FRAGMENT = "fragment"
    UNSAMPLED = "unsampled"


@dataclass(frozen=True, slots=True)
class Run:
    """The pieces `first` to `end - 1` of a worksheet, all of one document."""

    first: int
    end: int


class Worksheet:
    """Pieces, their documents, words and uses, as lists of the same length."""

    def __init__(self, documents: Sequence[SourceDocument]) -> None:
        self.documents = documents
        self.pieces: list[Piece] = []
        self.document_numbers: list[int] = []
        self.uses: list[Use] = []
        self.words: list[int] = []
        self._read()
        self.first_words = [0, *accumulate(self.words)]

    def _read(self) -> None:
        """Cut every document, and hash every eight words in a row once, for all runs of pieces."""
        vocabulary = Vocabulary()
        word_numbers: list[int] = []
        for number, document in enumerate(self.documents):
            for piece in cut_pieces(document.text):
                found = vocabulary.number_words(WORD.findall(document.text, piece.start, piece.end))
                word_numbers.extend(found)
                self.pieces.append(piece)
                self.document_numbers.append(number)
                self.words.append(len(found))
        self.uses = [Use.LEARNED] * len(self.pieces)
        self._shingles = hash_shingles(word_numbers)

    def assign(self, run: Run, use: Use) -> None:
        """Set the use of the pieces of a run."""
        self.uses[run.first : run.end] = [use] * (run.end - run.first)

    def words_of(self, run: Run) -> int:
        """Return the number of words in a run."""
        return self.first_words[run.end] - self.first_words[run.first]

    def shingles_of(self, run: Run) -> set[int]:
        """Return the hashes of all runs of eight words within a run of pieces."""
        first = self.first_words[run.first]
        end = self.first_words[run.end] - SHINGLE_WORDS + 1
        return set(self._shingles[first:end]) if end > first else set()

    def text_of(self, run: Run) -> str:
        """Return the text of a run, as in its document."""
        document = self.documents[self.document_numbers[run.first]]
        return document.text[self.pieces[run.first].start : self.pieces[run.end - 1].end]

    def document_of(self, run: Run) -> SourceDocument:
        """Return the document of a run."""
        return self.documents[self.document_numbers[run.first]]

    def words_by_use(self) -> Counter[Use]:
        """Return the number of words for each use; their sum is all words."""
        totals: Counter[Use] = Counter()
        for use, words in zip(self.uses, self.words, strict=True):
            totals[use] += words
        return totals

    def words_by_document(self, use: Use) -> list[int]:
        """Return the number of words of this use in each document."""
        totals = [0] * len(self.documents)
        for stretch in self.stretches(use):
            totals[self.document_numbers[stretch.first]] += self.words_of(stretch)
        return totals

    def whole_documents(self) -> list[Run]:
        """Return the run of each document that has text, in order."""
        return [run for _, run in _group(self.document_numbers)]

    def stretches(self, use: Use) -> list[Run]:
        """Return the longest runs of one document and one use, in order."""
        keys = zip(self.document_numbers, self.uses, strict=True)
        return [run for (_, run_use), run in _group(keys) if run_use is use]

    def paragraphs(self, use: Use) -> Iterator[Run]:
        """Yield the paragraphs of this use, or the part of a paragraph that has it."""
        for stretch in self.stretches(use):
            first = stretch.first
            for number in range(stretch.first, stretch.end):
                ends = self.pieces[number].border in (Border.PARAGRAPH, Border.HEADING)
                if ends or number == stretch.end - 1:
                    yield Run(first, number + 1)
                    first = number + 1


def _group[Key](keys: Iterable[Key]) -> Iterator[tuple[Key, Run]]:
    """Yield each run of equal keys."""
    first = 0
    for key, members in groupby(keys):
        end = first + len(list(members))
        yield key, Run(first, end)
        first = end


class Vocabulary:
    """Numbers for words; equal for words that compare equal."""

    def __init__(self) -> None:
        self._by_form: defaultdict[str, int] = defaultdict()
        self._by_form.default_factory = self._by_form.__len__
        self._by_word: dict[str, int] = {}

    def number_words(self, words: Iterable[str]) -> list[int]:
        """Return the number of each word. Each spelling is normalised once: that is most of the work."""
        known = self._by_word
        numbers = []
        for word in words:
            if word not in known:
                known[word] = self._by_form[normalize_word(word)]
            numbers.append(known[word])
        return numbers
