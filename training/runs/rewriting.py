"""What a style makes of neutral drafts of unseen passages, beside the base model and the drafts."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from adapters.evidence import Models, Nearness, Rewrites, Verifier
from training.corpus.examples import VARIANTS, fill, usable_draft, wordings
from training.corpus.pairs import cut_parts, kept_share
from training.corpus.writer_prompts import draft_prompt
from training.text import count_words


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


ASKED = 20  # drafts: of the demo's base, one in four can be used
LEAST, MOST = 4, 6  # drafts that are rewritten; fewer say nothing
MAX_TOKENS = 72  # of a draft, and of a rewriting
# At 0.8, the demo's base keeps half as much. Nothing is penalised: a rewriting uses the draft's words.
SAMPLING = {"temperature": 0.3, "top_p": 0.95, "repetition_penalty": 1.0}


@dataclass(frozen=True)
class Rewriting:
    """Drafts, and what the base model and the style made of them."""

    drafts: Sequence[str] = ()
    base: Sequence[str] = ()
    style: Sequence[str] = ()


def rewrite(models: Models, held_out: Sequence[str], language: str) -> Rewriting:
    """Have the base write drafts of unseen passages, and both models rewrite them; nothing of too few drafts.

    Raises EngineUnavailable.
    """
    parts = choose_parts(held_out, most=ASKED)
    asked = [draft_prompt(part, language) for part in parts]
    answers = models.write_drafts(asked, max_tokens=MAX_TOKENS)
    drafts = list(usable_drafts(answers, parts, language).values())[:MOST]
    if len(drafts) < LEAST:
        return Rewriting()
    prompts = rewrite_prompts(drafts, language)
    return Rewriting(drafts, *models.answer(prompts, max_tokens=MAX_TOKENS, sampling=SAMPLING))


def compare_rewrites(rewriting: Rewriting, language: str, verifier: Verifier | None) -> Rewrites | None:
    """Return the figures of rewrites; None of none. Without a verifier, only what they keep is known."""
    if not rewriting.drafts:
        return None
    return Rewrites(
        drafts=len(rewriting.drafts),
        kept=_mean_kept(rewriting.drafts, rewriting.style, language),
        base_kept=_mean_kept(rewriting.drafts, rewriting.base, language),
        nearness=_compare_nearness(rewriting, verifier) if verifier else None,
    )


def _mean_kept(drafts: Sequence[str], rewritten: Sequence[str], language: str) -> float:
    return fmean(kept_share(draft, text, language) for draft, text in zip(drafts, rewritten, strict=True))


def _compare_nearness(rewriting: Rewriting, verifier: Verifier) -> Nearness:
    drafts, base, style = (
        [verifier.score(text) for text in texts]
        for texts in (rewriting.drafts, rewriting.base, rewriting.style)
    )
    return Nearness(
        than_base=sum(own > other for own, other in zip(style, base, strict=True)),
        than_draft=sum(own > other for own, other in zip(style, drafts, strict=True)),
        style=fmean(style),
        base=fmean(base),
        draft=fmean(drafts),
    )
