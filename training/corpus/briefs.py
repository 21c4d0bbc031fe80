"""Whether a writer's answer can be used as a brief or a draft."""

import re

from core.sentences import sentence_ends
from training.corpus.shingles import shares_shingle
from training.text.words import WORD, count_words

LEAST_BRIEF_WORDS = 5
MOST_BRIEF_WORDS = 60
# A draft that is much shorter or longer than its passage was cut off, or is about something else.
LEAST_DRAFT_PERCENT = 50
MOST_DRAFT_PERCENT = 200
WHITE_SPACE = re.compile(r"\s+")


def usable_brief(answer: str | None, passage: str) -> str | None:
    """Return a brief in one line and at most 60 words; None if it is missing, empty or quotes the passage."""
    if answer is None:
        return None
    brief = _cut_brief(WHITE_SPACE.sub(" ", answer).strip())
    if count_words(brief) < LEAST_BRIEF_WORDS or shares_shingle(brief, passage):
        return None
    return brief


def usable_draft(answer: str | None, passage: str) -> str | None:
    """Return a draft, or None if it is missing, of another length than the passage, or quotes it."""
    if answer is None:
        return None
    draft = answer.strip()
    percent = count_words(draft) * 100 // max(1, count_words(passage))
    if not LEAST_DRAFT_PERCENT <= percent <= MOST_DRAFT_PERCENT or shares_shingle(draft, passage):
        return None
    return draft


def _cut_brief(brief: str) -> str:
    """Return at most 60 words of a brief, up to the end of a sentence if one ends in their second half."""
    words = list(WORD.finditer(brief))
    if len(words) <= MOST_BRIEF_WORDS:
        return brief
    cut = words[MOST_BRIEF_WORDS - 1].end()
    half = words[MOST_BRIEF_WORDS // 2].end()
    ends = [end for end in sentence_ends(brief) if half <= end <= cut + 2]
    return brief[: ends[-1] if ends else cut]
