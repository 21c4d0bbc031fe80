"""Pairs of a draft and a passage: the parts of which drafts are made, and what content both have.

A style learns to rewrite from such pairs. Where the two tell different things it would learn to invent.
"""

from collections.abc import Sequence

from core.sentences import sentence_ends, strip_span
from training.corpus.names import terms
from training.text import count_words, normalize_word, stop_words

PART_WORDS = 50  # a small base can say so much in other words; of more it tells half
STEM_LETTERS = 6  # "gardens" and "gardening" count as "garden"


def cut_parts(passage: str) -> list[tuple[int, int]]:
    """Return whole sentences of a passage in parts of 50 words or a little more: where they begin and end."""
    parts: list[tuple[int, int]] = []
    start = 0
    for end in sentence_ends(passage):
        if count_words(passage[start:end]) >= PART_WORDS:
            parts.append(strip_span(passage, start, end))
            start = end
    if parts and passage[start:].strip():
        parts[-1] = strip_span(passage, parts[-1][0], len(passage))
    return parts or [strip_span(passage, 0, len(passage))]


def join_parts(passage: str, drafts: Sequence[str | None]) -> tuple[str, str] | None:
    """Return a draft and what it is of: the longest run of parts that have one; None if none has.

    `drafts` are those of the passage's parts, in order. Between them stands what stands between the parts.
    """
    parts = cut_parts(passage)
    best = (0, 0)
    first = 0
    for number, draft in enumerate([*drafts, None]):
        if draft is not None:
            continue
        best = max(best, (first, number), key=lambda run: run[1] - run[0])
        first = number + 1
    first, end = best
    if first == end:
        return None
    text = drafts[first] or ""
    for number in range(first + 1, end):
        text += f"{passage[parts[number - 1][1] : parts[number][0]]}{drafts[number]}"
    return text, passage[parts[first][0] : parts[end - 1][1]]


def kept_share(text: str, rewriting: str, language: str) -> float:
    """Return which share of a text's content words and names its rewriting has; 1 of a text without any."""
    content = _content_of(text, language)
    if not content:
        return 1.0
    return len(content & _content_of(rewriting, language)) / len(content)


def _content_of(text: str, language: str) -> set[str]:
    """Return the beginnings of all words but those that say nothing about what a text is about."""
    ignored = stop_words(language)
    forms = (normalize_word(term) for term, _ in terms(text))
    return {form[:STEM_LETTERS] for form in forms if form not in ignored}
