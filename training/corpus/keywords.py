"""Keywords: what a passage is about, as a list of words. They replace a missing brief.

Names of people and places are none: a style should learn how its author writes, not about whom.

All numbers are integers, so that ties are broken in the same way on every machine.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.corpus.passages import Passage
from training.corpus.stop_words import stop_words
from training.text.words import WORD, normalize_word

LEAST_KEYWORDS = 5
MOST_KEYWORDS = 8
WORDS_PER_KEYWORD = 30  # a longer passage gets more of them
LEAST_LETTERS = 3
NOUN_WEIGHT = 2  # of a German noun
NOUN_SHARE = 10  # a German noun follows an article at least once in so many times
CAST = 3  # names that are there more rarely are hardly learned; in German, any noun may lack an article twice
# A word that only one passage has may be an oddity: it counts as if three had it.
LEAST_PASSAGES = 3
# After these, a capital means nothing: sentences and quotations begin with one.
OPENING_MARKS = "\"'\u201c\u201e\u2018«»("
SENTENCE_START = re.compile(rf"[.!?…:\n{OPENING_MARKS}][\s{OPENING_MARKS}\u201d\u2019\[\u2014\u2013_*-]*\Z")
START_CONTEXT = 12  # characters
# In German every noun has a capital. What never follows one of these is a name.
DETERMINER = re.compile(
    r"\b(?:d(?:er|ie|as|en|em|es)|(?:[mds]?ein|kein|ihr|unser|euer|eur)(?:e[rnms]?)?"
    r"|(?:dies|jen|jed|welch|manch|solch|all|viel)e[rnms]?|[ia]m|zu[mr]|vo[mn]|beim|[ia]ns|aufs)\s\Z",
    re.IGNORECASE,
)
DETERMINER_CONTEXT = 10  # characters
HAN_RUN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]{2,}")


@dataclass(frozen=True)
class Candidate:
    """A word of a passage: its compared form, its most common spelling, its count and its first position."""

    form: str
    spelling: str
    count: int
    position: int


class KeywordIndex:
    """How many passages of a corpus have each word, and which words are names.

    A name is a word that has a capital within sentences, more often than not; in German also one that hardly
    ever follows an article.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = max(1, len(passages))
        self._with_word: Counter[str] = Counter()
        self._capitals: Counter[str] = Counter()  # how much more often a word has a capital than not
        self._nouns: Counter[str] = Counter()  # how often a word follows an article
        for passage in passages:
            forms = set()
            for term, position in _terms(passage.text):
                form = normalize_word(term)
                forms.add(form)
                self._capitals[form] += _count_capital(passage.text, term, position)
                self._nouns[form] += passage.language == "de" and _follows_determiner(passage.text, position)
            self._with_word.update(forms)

    def is_name(self, form: str, language: str) -> bool:
        """Return whether a word, in its compared form, is the name of somebody or something."""
        if language == "de":
            is_noun = self._nouns[form] * NOUN_SHARE >= self._capitals[form]
            return self._capitals[form] >= CAST and not is_noun
        return self._capitals[form] > 0

    def find_names(self, text: str, language: str) -> list[tuple[int, int]]:
        """Return where the corpus's frequent names are in a text: from a position up to before another."""
        spans = []
        for term, position in _terms(text):
            form = normalize_word(term)
            if term[0].isupper() and self._capitals[form] >= CAST and self.is_name(form, language):
                spans.append((position, position + len(term)))
        return spans

    def find_keywords(self, passage: Passage) -> tuple[str, ...]:
        """Return the five to eight most telling words of a passage, in the order in which it has them.

        A word is the more telling, the more often it is in the passage and the fewer other passages have it.
        There are fewer keywords if the passage has no more telling words.
        """
        wanted = min(MOST_KEYWORDS, max(LEAST_KEYWORDS, passage.words // WORDS_PER_KEYWORD))
        chosen: list[Candidate] = []
        candidates = [
            one for one in _find_candidates(passage) if not self.is_name(one.form, passage.language)
        ]
        for candidate in sorted(candidates, key=self._rank):
            if len(chosen) < wanted and not any(_are_variants(candidate, other) for other in chosen):
                chosen.append(candidate)
        chosen.sort(key=lambda candidate: candidate.position)
        return tuple(self._spell(candidate) for candidate in chosen)

    def _rank(self, candidate: Candidate) -> tuple[int, int, int]:
        """Return a key that sorts the most telling word first; of equal ones the longer, then the earlier.

        Its weight is its count times the binary digits of how rare it is.
        """
        rarity = self._passages // max(LEAST_PASSAGES, self._with_word[candidate.form])
        weight = candidate.count * rarity.bit_length()
        if self._capitals[candidate.form] > 0:
            weight *= NOUN_WEIGHT
        return -weight, -len(candidate.form), candidate.position

    def _spell(self, candidate: Candidate) -> str:
        """Return a word without a capital from the start of a sentence, if it mostly has none elsewhere."""
        return candidate.spelling.lower() if self._capitals[candidate.form] < 0 else candidate.spelling


def _are_variants(candidate: Candidate, other: Candidate) -> bool:
    """Return whether one word is the other with an ending, such as a plural."""
    return candidate.form.startswith(other.form) or other.form.startswith(candidate.form)


def _find_candidates(passage: Passage) -> list[Candidate]:
    """Return the words of a passage that can be keywords."""
    ignored = stop_words(passage.language)
    spellings: dict[str, Counter[str]] = {}
    positions: dict[str, int] = {}
    for term, position in _terms(passage.text):
        form = normalize_word(term)
        if form not in ignored:
            spellings.setdefault(form, Counter())[term] += 1
            positions.setdefault(form, position)
    candidates = []
    for form, counts in spellings.items():
        spelling = max(counts, key=lambda term: (counts[term], term))
        candidates.append(Candidate(form, spelling, counts.total(), positions[form]))
    return candidates


def _terms(text: str) -> Iterator[tuple[str, int]]:
    """Yield possible keywords and their positions: words of three letters and more, pairs of Han signs."""
    for match in WORD.finditer(text):
        word = match.group().strip("_").removesuffix("'s").removesuffix("\u2019s")
        if len(word) >= LEAST_LETTERS and word[0].isalpha() and not word.startswith(("I'", "I\u2019")):
            yield word, match.start()
    for run in HAN_RUN.finditer(text):
        for offset in range(len(run.group()) - 1):
            yield run.group()[offset : offset + 2], run.start() + offset


def _count_capital(text: str, term: str, position: int) -> int:
    """Return 1 for a capital within a sentence, -1 for a small letter, 0 for anything else."""
    if term[0].islower():
        return -1
    return int(term[0].isupper() and not _starts_sentence(text, position))


def _follows_determiner(text: str, position: int) -> bool:
    return DETERMINER.search(text[max(0, position - DETERMINER_CONTEXT) : position]) is not None


def _starts_sentence(text: str, position: int) -> bool:
    before = text[max(0, position - START_CONTEXT) : position]
    return position == 0 or SENTENCE_START.search(before) is not None
