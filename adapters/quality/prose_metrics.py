"""Simple measures of prose: how long sentences are, how easy they read, which phrases come back.

Pure functions over plain text. Reading ease and the list of common words are for English; in another language
only the length of sentences means something.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

PHRASES_LIMIT = 5
WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
END_MARKS = ".!?…"
CLOSING_MARKS = "\"'\u201d\u2019)*]"
# A sentence ends at its mark and what closes after it, or with its paragraph; 3.5 and a line of verse do not.
SENTENCE_END = re.compile(rf"(?<=[{END_MARKS}])[{re.escape(CLOSING_MARKS)}]*(?=\s|$)|\n\s*\n")
SYLLABLE = re.compile(r"[aeiouyà-öø-ÿ]+", re.IGNORECASE)
SILENT_E = re.compile(r"[^aeiouyl]e$", re.IGNORECASE)
COMMON_WORDS = frozenset(
    """
    a about after all also an and any are as at be been but by can could did do does for from had has have
    he her his how i if in into is it it's its just like may me more most my no not of on one or other our
    she so some such than that that's the their them then there these they this to too up us very was we
    were what when which who will with would you you're your
    """.split()  # noqa: SIM905 (a list of a hundred lines reads worse)
)


@dataclass(frozen=True)
class ProseMetrics:
    """What can be counted in some answers. None: there is nothing to count."""

    words_a_sentence: float | None
    reading_ease: float | None
    phrases: list[str]

    def as_json(self) -> dict[str, object]:
        """Return the same as JSON can hold it."""
        return asdict(self)


def measure_prose(answers: Sequence[str], *, against: Sequence[str] = ()) -> ProseMetrics:
    """Return the measures of some answers; phrases are those that other answers to the same lack."""
    return ProseMetrics(
        words_a_sentence(answers), reading_ease(answers), telling_phrases(answers, against=against)
    )


def words(text: str) -> list[str]:
    """Return the words of a text as they stand; a contraction is one word."""
    return WORD.findall(text)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text that have words.

    An answer that was cut off loses its last, unfinished sentence, unless it has no other.
    """
    parts = [part.strip() for part in SENTENCE_END.split(text) if WORD.search(part)]
    if len(parts) > 1 and not _is_finished(text):
        parts.pop()
    return parts


def words_a_sentence(answers: Iterable[str]) -> float | None:
    """Return the mean number of words in a sentence."""
    lengths = [len(words(sentence)) for sentence in _all_sentences(answers)]
    return sum(lengths) / len(lengths) if lengths else None


def reading_ease(answers: Iterable[str]) -> float | None:
    """Return Flesch's reading ease (1948), for English: 100 is very easy, 60 plain, 30 and less difficult.

    206.835 - 1.015 · words a sentence - 84.6 · syllables a word; syllables are counted as groups of vowels.
    """
    all_sentences = _all_sentences(answers)
    all_words = [word for sentence in all_sentences for word in words(sentence)]
    if not all_words:
        return None
    syllables = sum(count_syllables(word) for word in all_words)
    return 206.835 - 1.015 * len(all_words) / len(all_sentences) - 84.6 * syllables / len(all_words)


def count_syllables(word: str) -> int:
    """Return about how many syllables an English word has; at least one."""
    return max(1, len(SYLLABLE.findall(word)) - bool(SILENT_E.search(word)))


def telling_phrases(answers: Sequence[str], *, against: Sequence[str] = ()) -> list[str]:
    """Return phrases of two or three words that come back in several answers, and seldom in `against`.

    Seldom: in less than half as many. Most frequent first. What comes back in one answer only is its topic,
    not the style; phrases of common words alone tell nothing.
    """
    others = _count_phrases(against)
    telling = {}
    for phrase, count in _count_phrases(answers).items():
        if count > max(1, 2 * others[phrase]):
            telling[phrase] = count
    ranked = sorted(telling, key=lambda phrase: (-telling[phrase], -len(phrase), phrase))
    kept: list[str] = []
    seen: set[tuple[str, str]] = set()
    for phrase in ranked:
        pairs = set(pairwise(phrase))
        if seen.isdisjoint(pairs):  # else it is a part of a phrase that is kept, or overlaps it
            kept.append(" ".join(phrase))
            seen |= pairs
    return kept[:PHRASES_LIMIT]


def _is_finished(text: str) -> bool:
    without_closing = text.rstrip().rstrip(CLOSING_MARKS)
    return without_closing.endswith(tuple(END_MARKS))


def _all_sentences(answers: Iterable[str]) -> list[str]:
    return [sentence for answer in answers for sentence in sentences(answer)]


def _count_phrases(answers: Iterable[str]) -> Counter[tuple[str, ...]]:
    """Return phrase → how many answers have it."""
    counts: Counter[tuple[str, ...]] = Counter()
    for answer in answers:
        counts.update(set(_phrases(answer)))
    return counts


def _phrases(answer: str) -> Iterator[tuple[str, ...]]:
    """Yield two and three words in a row, in lower case, unless all of them are common."""
    for sentence in sentences(answer):
        spoken = [word.lower() for word in words(sentence)]
        for length in (2, 3):
            for start in range(len(spoken) - length + 1):
                phrase = tuple(spoken[start : start + length])
                if not COMMON_WORDS.issuperset(phrase):
                    yield phrase
