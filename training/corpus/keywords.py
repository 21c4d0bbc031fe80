"""Keywords: what a passage is about, as a list of words. They replace a missing brief.

Names of people and places are none: a style should learn how its author writes, not about whom.

All numbers are integers, so that ties are broken in the same way on every machine.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from training.corpus.names import NameIndex, terms
from training.corpus.passages import Passage
from training.corpus.stop_words import stop_words
from training.text.words import normalize_word

LEAST_KEYWORDS = 5
MOST_KEYWORDS = 8
WORDS_PER_KEYWORD = 30  # a longer passage gets more of them
NOUN_WEIGHT = 2  # of a German noun
# A word that only one passage has may be an oddity: it counts as if three had it.
LEAST_PASSAGES = 3


@dataclass(frozen=True)
class Candidate:
    """A word of a passage: its compared form, its most common spelling, its count and its first position."""

    form: str
    spelling: str
    count: int
    position: int


class KeywordIndex:
    """How many passages of a corpus have each word, and which words are names."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = max(1, len(passages))
        self._with_word: Counter[str] = Counter()
        self.names = NameIndex(passages)
        for passage in passages:
            self._with_word.update({normalize_word(term) for term, _ in terms(passage.text)})

    def find_keywords(self, passage: Passage) -> tuple[str, ...]:
        """Return the five to eight most telling words of a passage, in the order in which it has them.

        A word is the more telling, the more often it is in the passage and the fewer other passages have it.
        There are fewer keywords if the passage has no more telling words.
        """
        wanted = min(MOST_KEYWORDS, max(LEAST_KEYWORDS, passage.words // WORDS_PER_KEYWORD))
        chosen: list[Candidate] = []
        candidates = [
            one for one in _find_candidates(passage) if not self.names.is_name(one.form, passage.language)
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
        if self.names.capitals[candidate.form] > 0:
            weight *= NOUN_WEIGHT
        return -weight, -len(candidate.form), candidate.position

    def _spell(self, candidate: Candidate) -> str:
        """Return a word without a capital from the start of a sentence, if it mostly has none elsewhere."""
        return candidate.spelling.lower() if self.names.capitals[candidate.form] < 0 else candidate.spelling


def _are_variants(candidate: Candidate, other: Candidate) -> bool:
    """Return whether one word is the other with an ending, such as a plural."""
    return candidate.form.startswith(other.form) or other.form.startswith(candidate.form)


def _find_candidates(passage: Passage) -> list[Candidate]:
    """Return the words of a passage that can be keywords."""
    ignored = stop_words(passage.language)
    spellings: dict[str, Counter[str]] = {}
    positions: dict[str, int] = {}
    for term, position in terms(passage.text):
        form = normalize_word(term)
        if form not in ignored:
            spellings.setdefault(form, Counter())[term] += 1
            positions.setdefault(form, position)
    candidates = []
    for form, counts in spellings.items():
        spelling = max(counts, key=lambda term: (counts[term], term))
        candidates.append(Candidate(form, spelling, counts.total(), positions[form]))
    return candidates
