"""Drafts: how near a text is to a style, and which sentences are farthest. Nothing is stored."""

from dataclasses import dataclass

from adapters.errors import DraftTooLong, DraftTooShort, NoVerifier
from adapters.evidence.choosing import choose_evaluation
from adapters.evidence.figures import Figures
from adapters.models import Evaluation, Style
from adapters.verifier import Verifier

LEAST_WORDS = 50
MOST_CHARACTERS = 50_000
FARTHEST = 5


@dataclass(frozen=True)
class DraftSentence:
    """A sentence of a draft: where it is, and how near it is to the author, in percent as the whole."""

    text: str
    start: int
    end: int
    percent: int


@dataclass(frozen=True)
class DraftCheck:
    """How near a draft is to an author: 0 is the base model's writing, 100 the author's own."""

    version: int  # the evaluated one whose author it is compared with
    words: int
    percent: int
    farthest: list[DraftSentence]


def find_evaluation(style: Style) -> Evaluation | None:
    """Return the evaluation that drafts of a style are compared with: the live version's, or the newest."""
    return choose_evaluation(style, Evaluation.objects.exclude(verifier=b""))


def check_draft(style: Style, text: str) -> DraftCheck:
    """Return how near a text is to a style's author. Raises NoVerifier, DraftTooShort, DraftTooLong."""
    if len(text) > MOST_CHARACTERS:
        raise DraftTooLong(most=MOST_CHARACTERS)
    words = len(text.split())
    if words < LEAST_WORDS:
        raise DraftTooShort(words=words, least=LEAST_WORDS)
    evaluation = find_evaluation(style)
    if evaluation is None:
        raise NoVerifier
    voice = Figures.read(evaluation.figures).voice
    assert voice is not None  # it has a verifier
    verifier = Verifier.from_bytes(bytes(evaluation.verifier))

    def percent_of(score: float) -> int:
        width = max(voice.ceiling - voice.floor, 1e-6)
        return round(min(100.0, max(0.0, 100 * (score - voice.floor) / width)))

    sentences = []
    for sentence in verifier.score_sentences(text):
        found = text[sentence.start : sentence.end]
        sentences.append(DraftSentence(found, sentence.start, sentence.end, percent_of(sentence.score)))
    percent = percent_of(verifier.score(text))
    farther = [sentence for sentence in sentences if sentence.percent <= percent]
    farther.sort(key=lambda sentence: sentence.percent)
    return DraftCheck(
        version=evaluation.version.number,
        words=words,
        percent=percent,
        farthest=farther[:FARTHEST],
    )
