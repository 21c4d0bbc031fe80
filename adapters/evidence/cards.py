"""The evidence card: an evaluation's figures, each in a sentence, with what to do if it is low."""

from dataclasses import dataclass, field
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adapters.evidence.figures import Briefs, Figures, Learned, Repeats, Voice
from adapters.models import AdapterVersion, Evaluation, EvaluationStatus

LEAST_BRIEF_PERCENT = 80
LEAST_OWN_PERCENT = 1.0
LEAST_VOICE_SHARE = 0.3


@dataclass(frozen=True)
class EvidenceRow:
    """One figure: its value in short, a sentence, and a scale from floor to ceiling where it has one."""

    name: str
    title: str
    value: str
    sentence: str
    advice: str = ""
    percent: float | None = None  # on the scale, with its interval
    low: float = 0.0
    high: float = 0.0
    floor: str = ""
    ceiling: str = ""
    is_good: bool = True


@dataclass(frozen=True)
class EvidenceCard:
    """What the pages show of a version's evaluation."""

    evaluation: Evaluation
    rows: list[EvidenceRow] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    passages: list[str] = field(default_factory=list)


def evidence_card_of(version: AdapterVersion | None) -> EvidenceCard | None:
    """Return a version's card: of its newest evaluation, or of the last one with figures; None without."""
    if version is None:
        return None
    evaluations = list(version.evaluations.order_by("-created_at")[:10])
    done = [one for one in evaluations if one.status == EvaluationStatus.SUCCEEDED]
    if (evaluations and evaluations[0].is_open) or not done:
        return EvidenceCard(evaluations[0]) if evaluations else None
    return card_of(done[0])


def card_of(evaluation: Evaluation) -> EvidenceCard:
    """Return the card of an evaluation that has succeeded."""
    figures = Figures.read(evaluation.figures)
    rows = [_learned_row(figures.learned)]
    rows.append(_voice_row(figures.voice) if figures.voice else _no_voice_row())
    rows.append(_repeats_row(figures.repeats))
    if figures.briefs:
        rows.append(_briefs_row(figures.briefs))
    return EvidenceCard(evaluation, rows, evaluation.samples, evaluation.passages)


def _percent(value: float, decimals: int = 0) -> str:
    return f"{number_format(value, decimal_pos=decimals)}%"


def _learned_row(learned: Learned) -> EvidenceRow:
    title = _("Learned")
    value = _percent(learned.gain_percent, 1)
    if learned.gain_percent <= 0:
        sentence = _("It predicts text that it hasn't seen no better than the base model.")
        return EvidenceRow("learned", title, value, sentence, _advise_more_text(), is_good=False)
    if learned.own_percent is None or learned.genre_percent is None:
        sentence = _(
            "It predicts text that it hasn't seen {gain} better than the base model. How much of that comes "
            "with any prose isn't known: there is no comparison style for this language and base model."
        ).format(gain=value)
        return EvidenceRow("learned", title, value, sentence)
    sentence = _(
        "It predicts text that it hasn't seen {gain} better than the base model. A style of other authors "
        "gains {genre}; the other {own} are this author's own."
    ).format(
        gain=value, genre=_percent(learned.genre_percent, 1), own=_percent(max(0.0, learned.own_percent), 1)
    )
    is_good = learned.own_percent >= LEAST_OWN_PERCENT
    return EvidenceRow(
        "learned", title, value, sentence, "" if is_good else _advise_more_text(), is_good=is_good
    )


def _voice_row(voice: Voice) -> EvidenceRow:
    sentence = ngettext(
        "{recognized} of {answers} answer reads as much like the author as nine tenths of the author's own "
        "passages do.",
        "{recognized} of {answers} answers read as much like the author as nine tenths of the author's own "
        "passages do.",
        voice.answers,
    ).format(recognized=voice.recognized, answers=voice.answers)
    sentence += " " + _(
        "The mark shows the answers' average, between {low} and {high} with 90% confidence."
    ).format(low=_percent(100 * voice.low), high=_percent(100 * voice.high))
    is_good = voice.share >= LEAST_VOICE_SHARE and voice.low > 0
    return EvidenceRow(
        "voice",
        _("Sounds like the author"),
        _percent(100 * voice.share),
        sentence,
        "" if is_good else _("More text helps most, then a larger base model."),
        percent=_clamp(voice.share),
        low=_clamp(voice.low),
        high=_clamp(voice.high),
        floor=_("base model"),
        ceiling=_("the author"),
        is_good=is_good,
    )


def _no_voice_row() -> EvidenceRow:
    sentence = _("We can compare styles in English and German so far, so this isn't known.")
    return EvidenceRow("voice", _("Sounds like the author"), "", sentence)


def _repeats_row(repeats: Repeats) -> EvidenceRow:
    sentence = _(
        "It continues {repeated} of {examples} passages word for word. The longest repetition has {longest} "
        "tokens; the base model's has {base}."
    ).format(
        repeated=repeats.repeated,
        examples=repeats.examples,
        longest=repeats.longest_tokens,
        base=repeats.base_longest_tokens,
    )
    if repeats.has_memorized_canary:
        sentence += " " + _("It memorized a test sentence that was in its texts once.")
    elif repeats.canary_bits:
        sentence += " " + _("It didn't memorize the test sentences that were in its texts once.")
    refused = bool(repeats.share_refusal)
    advice = _("Others can't have this version. Train on more text or with fewer epochs.") if refused else ""
    return EvidenceRow(
        "repeats",
        _("Repeats its texts"),
        _percent(repeats.percent, 1),
        sentence,
        advice,
        is_good=not refused,
    )


def _briefs_row(briefs: Briefs) -> EvidenceRow:
    title = _("Keeps to the request")
    percent = briefs.percent_of_base
    if percent is None:
        return EvidenceRow("briefs", title, "", _("The base model doesn't keep to these requests either."))
    is_good = percent >= LEAST_BRIEF_PERCENT
    sentence = _("It takes up what a request asks for {percent} as often as the base model.").format(
        percent=_percent(percent)
    )
    advice = "" if is_good else _("Fewer epochs help, or a larger base model.")
    return EvidenceRow("briefs", title, _percent(percent), sentence, advice, is_good=is_good)


def _advise_more_text() -> str:
    return _("Add more text by the same author, in one language and of one kind.")


def _clamp(share: float) -> float:
    return 100 * min(1.0, max(0.0, share))
