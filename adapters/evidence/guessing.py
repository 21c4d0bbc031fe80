"""The blind test: which of two texts is the author's, and which the style's? Samples of an evaluation."""

import re
from dataclasses import dataclass

from django.utils.crypto import salted_hmac

from adapters.evidence.drafts import choose_evaluation
from adapters.models import Evaluation, Style

WORD = re.compile(r"\S+")
GUESSABLE_WORDS = 20  # of both texts: from fewer, nobody can tell


@dataclass(frozen=True)
class GuessingRound:
    """A request with two texts of the same length; nobody knows before the answer which is the author's."""

    number: int  # 1 for the first
    rounds: int
    prompt: str
    texts: tuple[str, str]
    author_is_first: bool


def find_guessable(style: Style) -> Evaluation | None:
    """Return an evaluation of a style whose texts are still there."""
    return choose_evaluation(style, Evaluation.objects.exclude(samples=[]).defer("verifier"))


def list_rounds(evaluation: Evaluation, salt: str) -> list[GuessingRound]:
    """Return a round for each sample whose texts are long enough. Another salt shuffles the sides anew."""
    samples = [one for one in evaluation.samples if _shorter(one["style"], one["writer"]) >= GUESSABLE_WORDS]
    rounds = []
    for number, sample in enumerate(samples, start=1):
        # Both are cut: an answer ends at its last token, so its length would give it away.
        words = _shorter(sample["style"], sample["writer"])
        style, author = _cut(sample["style"], words), _cut(sample["writer"], words)
        side = salted_hmac(__name__, f"{evaluation.pk}:{salt}:{number}", algorithm="sha256").digest()
        author_is_first = bool(side[0] & 1)
        texts = (author, style) if author_is_first else (style, author)
        rounds.append(GuessingRound(number, len(samples), sample["prompt"], texts, author_is_first))
    return rounds


def _shorter(first: str, second: str) -> int:
    return min(len(first.split()), len(second.split()))


def _cut(text: str, words: int) -> str:
    """Return the first words of a text, with the white space between them."""
    ends = [word.end() for word in WORD.finditer(text)]
    return f"{text[: ends[words - 1]].strip()} …"
