"""Rewriting unseen passages: parts of them, their neutral drafts, and the prompts that a style answers."""

from collections.abc import Sequence

from training.corpus.examples import VARIANTS, fill, usable_draft, wordings
from training.corpus.pairs import cut_parts
from training.text.words import count_words


def choose_parts(passages: Sequence[str], *, most: int) -> list[str]:
    """Return some parts of passages, from all of them at equal distances."""
    parts = [passage[start:end] for passage in passages for start, end in cut_parts(passage)]
    count = min(most, len(parts))
    return [parts[number * len(parts) // count] for number in range(count)]


def usable_drafts(answers: Sequence[str], parts: Sequence[str], language: str) -> dict[int, str]:
    """Return drafts by the numbers of their parts: they may tell less, but don't invent or copy."""
    drafts = {}
    for number, (answer, part) in enumerate(zip(answers, parts, strict=True)):
        draft = usable_draft(answer, part, language, least_kept=0)
        if draft is not None:
            drafts[number] = draft
    return drafts


def rewrite_prompts(drafts: Sequence[str], language: str) -> list[str]:
    """Return what a style is asked, in the wordings that it has learned, in turn."""
    templates = wordings(language).draft
    prompts = []
    for number, draft in enumerate(drafts):
        prompts.append(fill(templates[number % VARIANTS], words=count_words(draft), draft=draft))
    return prompts
