"""Drafts: how near a text is to a style, and which sentences are farthest. Nothing is stored."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from adapters.errors import DraftTooLong, DraftTooShort, NoVerifier, ParagraphsTooShort
from adapters.evidence.figures import Figures, Voice
from adapters.models import Evaluation, EvaluationStatus, Style
from adapters.verifier import CALIBRATED_LANGUAGES, SentenceScore, Verifier
from core.sentences import PARAGRAPH_GAP, sentence_spans
from tenants.models import Tenant


def choose_evaluation(style: Style, evaluations: QuerySet[Evaluation]) -> Evaluation | None:
    """Return the newest of a style's evaluations with figures: the live version's, or else another's."""
    done = evaluations.filter(version__style=style, status=EvaluationStatus.SUCCEEDED)
    newest_first = done.select_related("version").order_by("-created_at")
    return newest_first.filter(version=style.live_version_id).first() or newest_first.first()


LEAST_WORDS = 50
MOST_CHARACTERS = 50_000
FARTHEST = 5


class PercentUnknown(StrEnum):
    """Why a draft has no percentage."""

    LANGUAGE = "language"  # nobody has measured what scores in it mean
    OLD_CHECK = "old_check"  # the version was checked before percentages were calibrated


@dataclass(frozen=True)
class DraftSentence:
    """A sentence of a draft: where it is, and a percentage of its own, as the whole draft has one."""

    text: str
    start: int
    end: int
    percent: int | None


@dataclass(frozen=True)
class PercentRange:
    """Where the middle half of some texts lies."""

    low: int
    high: int

    @property
    def width(self) -> int:
        """How long it is on a scale."""
        return self.high - self.low


@dataclass(frozen=True)
class DraftCheck:
    """How near a draft is to an author.

    `percent`: of texts that score like it, so many in 100 are the author's, if half of all are. `own` and
    `others` are what new texts of about its length get, by the author and by others, and `base` is what the
    base model's answers get. All four are None where `percent_unknown` says why.
    """

    version: int  # the evaluated one whose author it is compared with
    words: int
    percent: int | None
    percent_unknown: str
    own: PercentRange | None
    others: PercentRange | None
    base: int | None
    farthest: list[DraftSentence]


def find_evaluation(style: Style) -> Evaluation | None:
    """Return the evaluation that drafts of a style are compared with: the live version's, or the newest."""
    return choose_evaluation(style, Evaluation.objects.exclude(verifier=b""))


def check_draft(style: Style, text: str) -> DraftCheck:
    """Return how near a text is to a style's author. Raises NoVerifier, DraftTooShort, DraftTooLong."""
    evaluation, voice, verifier = _open_verifier(style, text, most_characters=MOST_CHARACTERS)
    words = len(text.split())
    typical = verifier.typical_of(words)
    return DraftCheck(
        version=evaluation.version.number,
        words=words,
        percent=_percent_of(verifier.probability(text)),
        percent_unknown=_why_unknown(verifier),
        own=_range_of(typical.own) if typical else None,
        others=_range_of(typical.others) if typical else None,
        base=_percent_of(verifier.probability_of(voice.floor, words)),
        farthest=_list_farthest(verifier, text),
    )


def _open_verifier(style: Style, text: str, *, most_characters: int) -> tuple[Evaluation, Voice, Verifier]:
    """Return what a text is compared with. Raises NoVerifier, DraftTooShort, DraftTooLong."""
    if len(text) > most_characters:
        raise DraftTooLong(most=most_characters)
    words = len(text.split())
    if words < LEAST_WORDS:
        raise DraftTooShort(words=words, least=LEAST_WORDS)
    evaluation = find_evaluation(style)
    if evaluation is None:
        raise NoVerifier
    voice = Figures.read(evaluation.figures).voice
    assert voice is not None  # it has a verifier
    return evaluation, voice, Verifier.from_bytes(bytes(evaluation.verifier))


# A whole text, paragraph by paragraph: which of them sound least like the author, and why.

MOST_SHOWN = 30  # paragraphs: nobody looks through more at once
LEAST_PARAGRAPH_WORDS = 25  # from fewer, nothing can be said
MOST_CHECKED_CHARACTERS = 500_000
LONGER, SHORTER = 1.6, 0.6  # times the author's sentences: a difference that a reader notices
SHOWN_WORDS = 3
BLOCK = re.compile(r"\S(?:[^\n]|\n(?!\s*\n))*")
LINE = re.compile(r"\S[^\n]*")


@dataclass(frozen=True)
class ParagraphCheck:
    """A paragraph of a text that sounds less like the author than the author's own texts do.

    `sentence_words` are the words of its mean sentence, and `own_sentence_words` those of the author's, where
    they differ so much that it shows; else both are None. `words` are those that lower its score most.
    """

    start: int
    end: int
    percent: int | None
    sentence_words: int | None
    own_sentence_words: int | None
    words: list[str]


def find_checkable(tenant: Tenant, model: str) -> Style | None:
    """Return the own style that `model=` names, if texts can be compared with its author's."""
    name = model.partition("@")[0]
    styles = Style.objects.filter(owner=tenant, slug=name.rpartition("/")[2], retired_at=None)
    style = styles.select_related("owner").first()
    if style is None or style.model_name != name:
        return None
    compared = Evaluation.objects.filter(version__style=style, status=EvaluationStatus.SUCCEEDED)
    return style if compared.exclude(verifier=b"").exists() else None


def check_paragraphs(style: Style, text: str) -> list[ParagraphCheck]:
    """Return the paragraphs of a text that sound least like a style's author, in order.

    With percentages, these are the ones that score below three quarters of new texts by the author, the 30
    lowest; without, the five that score lowest. Raises NoVerifier, DraftTooLong, DraftTooShort and
    ParagraphsTooShort.
    """
    _, voice, verifier = _open_verifier(style, text, most_characters=MOST_CHECKED_CHARACTERS)
    paragraph = BLOCK if PARAGRAPH_GAP.search(text.strip()) else LINE
    spans = [match.span() for match in paragraph.finditer(text)]
    long_enough = [
        one
        for one in verifier.score_spans(text, spans)
        if len(text[one.start : one.end].split()) >= LEAST_PARAGRAPH_WORDS
    ]
    if not long_enough:
        raise ParagraphsTooShort(least=LEAST_PARAGRAPH_WORDS)
    unlike = _list_lowest(_list_unlike(verifier, text, long_enough), MOST_SHOWN)
    return [_explain_paragraph(verifier, text, one, voice.sentence_words) for one in unlike]


def _list_unlike(verifier: Verifier, text: str, scores: list[SentenceScore]) -> list[SentenceScore]:
    unlike = []
    for one in scores:
        typical = verifier.typical_of(len(text[one.start : one.end].split()))
        if typical is None or one.probability is None:
            return _list_lowest(scores, FARTHEST) if len(scores) > 1 else []
        if one.probability < typical.own[0]:
            unlike.append(one)
    return unlike


def _list_lowest(scores: list[SentenceScore], most: int) -> list[SentenceScore]:
    """Return those that score lowest, at most so many, in the order of the text."""
    lowest = sorted(scores, key=lambda one: one.score)[:most]
    return sorted(lowest, key=lambda one: one.start)


def _explain_paragraph(
    verifier: Verifier, text: str, one: SentenceScore, own_sentence_words: float | None
) -> ParagraphCheck:
    paragraph = text[one.start : one.end]
    sentence_words = len(paragraph.split()) / len(sentence_spans(paragraph))
    ratio = sentence_words / own_sentence_words if own_sentence_words else 1
    differs = own_sentence_words is not None and not SHORTER < ratio < LONGER
    return ParagraphCheck(
        start=one.start,
        end=one.end,
        percent=_percent_of(one.probability),
        sentence_words=round(sentence_words) if differs else None,
        own_sentence_words=round(own_sentence_words) if differs and own_sentence_words else None,
        words=verifier.farthest_words(paragraph, SHOWN_WORDS),
    )


def _list_farthest(verifier: Verifier, text: str) -> list[DraftSentence]:
    """Return the sentences that score below the whole text, the lowest first."""
    whole = verifier.score(text)
    scores = [sentence for sentence in verifier.score_sentences(text) if sentence.score <= whole]
    scores.sort(key=lambda sentence: sentence.score)
    farthest = []
    for one in scores[:FARTHEST]:
        percent = _percent_of(one.probability)
        farthest.append(DraftSentence(text[one.start : one.end], one.start, one.end, percent))
    return farthest


def _why_unknown(verifier: Verifier) -> str:
    if verifier.language not in CALIBRATED_LANGUAGES:
        return PercentUnknown.LANGUAGE
    return "" if verifier.basis else PercentUnknown.OLD_CHECK


def _percent_of(probability: float | None) -> int | None:
    return None if probability is None else round(100 * probability)


def _range_of(quartiles: Sequence[float]) -> PercentRange:
    return PercentRange(round(100 * quartiles[0]), round(100 * quartiles[-1]))


# The blind test: which of two texts is the author's, and which the style's? Samples of an evaluation.

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
