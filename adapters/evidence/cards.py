"""The evidence card: an evaluation's figures, each in a sentence, with what to do if it is low."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.formats import number_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from adapters import gate
from adapters.evidence.figures import (
    KEPT_SHARE,
    Briefs,
    Figures,
    Interval,
    Learned,
    Repeats,
    Rewrites,
    Voice,
    VoiceUnknown,
)
from adapters.models import AdapterVersion, Evaluation, EvaluationNote, EvaluationStatus
from core.lifecycle import Step

LEAST_OWN_PERCENT = 1.0
LEAST_VOICE_SHARE = 0.3
MOST_READ = 10  # of a version's evaluations
MIN_SAMPLE_WORDS = 20
SAMPLES_SHOWN = 6  # the others are folded in
MORE_TEXTS, FEWER_PASSES = "texts", "passes"
# What a version is fit for, by whether it sounds like the author and whether it keeps to requests.
FITNESS = {
    (True, True): gettext_lazy(
        "Fit for letters, scenes and requests: it sounds like the author and follows instructions."
    ),
    (True, False): gettext_lazy("Fit for letters and scenes; weak at following requests."),
    (True, None): gettext_lazy("Fit for letters and scenes: it sounds like the author."),
    (False, True): gettext_lazy("It follows instructions, but hardly sounds like the author yet."),
    (False, False): gettext_lazy(
        "Not fit to write with yet: it hardly sounds like the author and is weak at requests."
    ),
    (False, None): gettext_lazy("It hardly sounds like the author yet."),
    (None, True): gettext_lazy(
        "It learned from these texts and follows instructions. How it sounds can't be measured."
    ),
    (None, False): gettext_lazy(
        "It learned from these texts, but is weak at requests. How it sounds can't be measured."
    ),
    (None, None): gettext_lazy("It learned from these texts. How it sounds can't be measured."),
}


@dataclass(frozen=True)
class Scale:
    """A line from floor to ceiling. Mark, shade and limit are in percent of its length.

    `legend` says what each part of it shows: "mark", "shade" or "limit", and the words.
    """

    floor: str
    ceiling: str
    legend: tuple[tuple[str, str], ...]
    mark: float
    shade_from: float
    shade_percent: float
    limit: float | None = None


@dataclass(frozen=True)
class EvidenceRow:
    """One figure: its value in short, a sentence, and a scale where it has a floor and a ceiling.

    `is_good` is None where nothing can be said. `remedies` are what a page offers a button for.
    """

    name: str
    title: str
    value: str
    sentence: str
    advice: str = ""
    scale: Scale | None = None
    is_good: bool | None = True
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True)
class EvidenceCard:
    """What pages show of a version: its newest evaluation, and the figures of the last one that succeeded."""

    version: AdapterVersion
    newest: Evaluation
    measured: Evaluation | None = None
    rows: list[EvidenceRow] = field(default_factory=list)
    details: list[tuple[str, str]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    passages: list[str] = field(default_factory=list)

    @property
    def steps(self) -> list[Step]:
        """Return the steps of the newest evaluation while it is in progress."""
        return _list_steps(self.newest) if self.newest.is_open else []

    @property
    def ahead(self) -> int:
        """How many evaluations a worker takes before the newest one; one query while it waits."""
        if self.newest.status != EvaluationStatus.QUEUED:
            return 0
        return Evaluation.objects.waiting().filter(created_at__lt=self.newest.created_at).count()

    @property
    def verdict(self) -> str:
        """Return what the figures say, in one sentence or two; "" before there are any."""
        return _judge({row.name: row.is_good for row in self.rows}) if self.rows else ""

    @property
    def remedies(self) -> set[str]:
        """Return what would help, of all figures that are low."""
        return {remedy for row in self.rows for remedy in row.remedies}

    @property
    def fewer_passes(self) -> int:
        """Return how many passes over its texts another training would make; 0 where it can't make fewer."""
        made = self.version.provenance.get("recipe", {}).get("epochs", 0)
        return int(made > 1 and FEWER_PASSES in self.remedies)

    @property
    def first_samples(self) -> list[dict[str, Any]]:
        """Return the samples that are open, the others' texts cut to the length of the style's."""
        return [_cut_to_the_styles_length(sample) for sample in self.samples[:SAMPLES_SHOWN]]

    @property
    def further_samples(self) -> list[dict[str, Any]]:
        """Return the samples that are folded in, cut alike."""
        return [_cut_to_the_styles_length(sample) for sample in self.samples[SAMPLES_SHOWN:]]

    def without_texts(self) -> "EvidenceCard":
        """Return the card for people who may not read its author's texts."""
        return replace(self, samples=[], passages=[])

    def for_others(self) -> "EvidenceCard | None":
        """Return the card for other workspaces: its figures alone; None before there are any."""
        if self.measured is None:
            return None
        return replace(self.without_texts(), newest=self.measured)


def evidence_card_of(version: AdapterVersion | None) -> EvidenceCard | None:
    """Return a version's card, or None before its first evaluation; one query."""
    if version is None:
        return None
    evaluations = list(version.evaluations.defer("verifier").order_by("-created_at")[:MOST_READ])
    if not evaluations:
        return None
    done = [one for one in evaluations if one.status == EvaluationStatus.SUCCEEDED]
    if not done:
        return EvidenceCard(version, evaluations[0])
    return replace(card_of(done[0]), version=version, newest=evaluations[0])


def card_of(evaluation: Evaluation) -> EvidenceCard:
    """Return the card of an evaluation that has succeeded."""
    figures = Figures.read(evaluation.figures)
    rows = [_learned_row(figures.learned)]
    rows.append(_voice_row(figures.voice) if figures.voice else _no_voice_row(figures.voice_unknown))
    rows.append(_repeats_row(figures.repeats))
    if figures.briefs:
        rows.append(_briefs_row(figures.briefs))
    if figures.rewrites:
        rows.append(_rewrites_row(figures.rewrites))
    return EvidenceCard(
        evaluation.version,
        newest=evaluation,
        measured=evaluation,
        rows=rows,
        details=_list_details(figures),
        samples=evaluation.samples,
        passages=evaluation.passages,
    )


def _judge(is_good: Mapping[str, bool | None]) -> str:
    """Return what a version is fit for, by which of its figures are good."""
    if is_good["learned"] is False:
        verdict = _("Not fit to write with yet: it learned too little about this author.")
    else:
        verdict = str(FITNESS[is_good["voice"], is_good.get("briefs")])
    if is_good["repeats"] is False:
        verdict += " " + _("It repeats its texts, so it stays private.")
    return verdict


def _cut_to_the_styles_length(sample: dict[str, Any]) -> dict[str, Any]:
    words = max(MIN_SAMPLE_WORDS, len(sample["style"].split()))
    return {**sample, **{name: Truncator(sample[name]).words(words) for name in ("base", "writer")}}


def percent_text(value: float, decimals: int = 0) -> str:
    """Return a number with a percent sign, as the active language writes it."""
    return _("{percent}%").format(percent=number_format(value, decimal_pos=decimals))


def _learned_row(learned: Learned) -> EvidenceRow:
    title = _("Learned")
    value = percent_text(learned.gain_percent, 1)
    if learned.gain_percent <= 0:
        sentence = _("It predicts unseen text by its author no better than the base model does.")
        return EvidenceRow(
            "learned",
            title,
            value,
            sentence,
            _advise_more_text(),
            is_good=False,
            remedies=(MORE_TEXTS,),
        )
    if learned.own_percent is None or learned.genre_percent is None:
        sentence = _(
            "It predicts unseen text by its author {gain} better than the base model does. We can't tell how "
            "much of that any style gains from prose: we have no style of other authors to compare it with."
        ).format(gain=value)
        return EvidenceRow("learned", title, value, sentence, is_good=None)
    if learned.own_percent > 0:
        sentence = _(
            "It predicts unseen text by its author {gain} better than the base model does. A style of other "
            "authors gains {genre} on the same text, so {own} comes from this author."
        )
    else:
        sentence = _(
            "It predicts unseen text by its author {gain} better than the base model does. A style of other "
            "authors gains {genre} on the same text, so nothing of it comes from this author."
        )
    sentence = sentence.format(
        gain=value,
        genre=percent_text(learned.genre_percent, 1),
        own=percent_text(learned.own_percent, 1),
    )
    others = _clamp(100 * learned.genre_percent / learned.gain_percent)
    is_good = learned.own_percent >= LEAST_OWN_PERCENT
    return EvidenceRow(
        "learned",
        title,
        value,
        sentence,
        "" if is_good else _advise_more_text(),
        Scale(
            floor=_("base model"),
            ceiling=_("this style"),
            legend=(("mark", _("a style of other authors")), ("shade", _("from this author"))),
            mark=others,
            shade_from=others,
            shade_percent=100 - others,
        ),
        is_good,
        () if is_good else (MORE_TEXTS,),
    )


def _voice_row(voice: Voice) -> EvidenceRow:
    sentence = ngettext(
        "{recognized} of {answers} answer could pass for the author.",
        "{recognized} of {answers} answers could pass for the author.",
        voice.answers,
    ).format(recognized=voice.recognized, answers=voice.answers)
    low, high = 100 * voice.low, 100 * voice.high
    sentence += " " + _(
        "On average they come {low} to {high} of the way from the base model to the author (90% confidence)."
    ).format(low=percent_text(low), high=percent_text(high))
    if voice.new_text_share is not None:
        sentence += " " + _(
            "The author's end of the scale is unseen passages of the learned texts: a new book by the author "
            "typically comes {share} of the way."
        ).format(share=percent_text(100 * voice.new_text_share))
    is_good = voice.share >= LEAST_VOICE_SHARE and voice.low > 0
    return EvidenceRow(
        "voice",
        _("Sounds like the author"),
        percent_text(100 * voice.share),
        sentence,
        "" if is_good else _("More text helps most, then a larger base model."),
        Scale(
            floor=_("base model"),
            ceiling=_("the author"),
            legend=(("mark", _("the average")), ("shade", _("90% confidence"))),
            mark=_clamp(100 * voice.share),
            shade_from=_clamp(low),
            shade_percent=_clamp(high) - _clamp(low),
        ),
        is_good,
        () if is_good else (MORE_TEXTS,),
    )


def _no_voice_row(reason: str) -> EvidenceRow:
    match reason:
        case VoiceUnknown.TOO_LITTLE_TEXT:
            sentence = _("The texts are too short to tell what this author sounds like.")
        case VoiceUnknown.NOT_DISTINCT:
            sentence = _(
                "These texts read too much like those of other authors to tell whose answers are whose."
            )
        case _:
            sentence = _("We can compare texts in English and German so far. These are in another language.")
    return EvidenceRow("voice", _("Sounds like the author"), _("Unknown"), sentence, is_good=None)


def _repeats_row(repeats: Repeats) -> EvidenceRow:
    is_good = not repeats.share_refusal
    advice = _(
        "Other workspaces can't get this version. Train it on more text, or with fewer passes over it."
    )
    return EvidenceRow(
        "repeats",
        _("Repeats its texts"),
        _("{repeated} of {examples}").format(repeated=repeats.repeated, examples=repeats.examples),
        " ".join(filter(None, [_describe_passages(repeats), _describe_memory(repeats)])),
        "" if is_good else advice,
        _scale_memory(repeats),
        is_good,
        () if is_good else (MORE_TEXTS, FEWER_PASSES),
    )


def _describe_passages(repeats: Repeats) -> str:
    if repeats.repeated:
        sentence = _(
            "It repeats {repeated} of {examples} passages in part: {tokens} tokens or more in a row, word "
            "for word."
        )
    else:
        sentence = _("It repeats none of {examples} passages word for word, for {tokens} tokens or more.")
    return sentence.format(repeated=repeats.repeated, examples=repeats.examples, tokens=repeats.least_tokens)


def _describe_memory(repeats: Repeats) -> str:
    """Return how well a version knows the canaries; "" if there were none."""
    match repeats.memory:
        case gate.Memory.UNKNOWN:
            return ""
        case gate.Memory.NONE:
            sentence = _(
                "It shows no sign of having memorised the test sentences that appeared in its texts once."
            )
        case gate.Memory.SOME:
            sentence = _(
                "It remembers some of the test sentences that appeared in its texts once: {bits} bits on "
                "average. Up to {limit} are allowed."
            )
        case gate.Memory.MEMORIZED:
            sentence = _(
                "It memorised the test sentences that appeared in its texts once: {bits} bits on average. Up "
                "to {limit} are allowed."
            )
    return sentence.format(
        bits=number_format(gate.mean_bits(repeats.exposure_bits), 1),
        limit=number_format(gate.MEMORIZED_BITS, 0),
    )


def _scale_memory(repeats: Repeats) -> Scale | None:
    """Return the line from nothing to what may be shared; None where no test sentence says anything."""
    if repeats.memory == gate.Memory.UNKNOWN:
        return None
    mark = _clamp(100 * gate.mean_bits(repeats.exposure_bits) / gate.MEMORIZED_BITS)
    limit = _("{bits} bits").format(bits=number_format(gate.MEMORIZED_BITS, 0))
    return Scale(
        floor=_("nothing"),
        ceiling=_("sharing limit: {limit}").format(limit=limit),
        legend=(("shade", _("memorised test sentences")),),
        mark=mark,
        shade_from=0,
        shade_percent=mark,
    )


def _briefs_row(briefs: Briefs) -> EvidenceRow:
    title = _("Keeps to the request")
    if briefs.style_interval is None or briefs.base_interval is None:
        sentence = _(
            "We can't tell: there are too few requests, or this check is an old one. Check it again."
        )
        return EvidenceRow("briefs", title, _("Can't tell"), sentence, is_good=None)
    sentence = _(
        "Of 100 words in a request, its answers use {style} ({low} to {high}, 90% confidence); the base "
        "model's use {base}. Words that answers to other requests use as often don't count."
    ).format(
        style=_words_of_100(briefs.style_interval.mean),
        low=_words_of_100(briefs.style_interval.low),
        high=_words_of_100(briefs.style_interval.high),
        base=_words_of_100(briefs.base_interval.mean),
    )
    if briefs.keeps is None:
        return EvidenceRow(
            "briefs",
            title,
            _("Can't tell"),
            f"{_doubt_of(briefs.base_interval)} {sentence}",
            scale=_briefs_scale(briefs.style_interval, briefs.base_interval),
            is_good=None,
        )
    return EvidenceRow(
        "briefs",
        title,
        _("{words} of 100 words").format(words=_words_of_100(briefs.style)),
        sentence,
        "" if briefs.keeps else _("Fewer passes over the texts help, or a larger base model."),
        _briefs_scale(briefs.style_interval, briefs.base_interval),
        briefs.keeps,
        () if briefs.keeps else (FEWER_PASSES,),
    )


def _words_of_100(share: float) -> str:
    return number_format(100 * share, 0)


def _doubt_of(base: Interval) -> str:
    if base.low <= 0:
        return _(
            "The base model doesn't clearly keep to these requests either, so there is nothing to compare "
            "with."
        )
    return _("These answers are too few to tell.")


def _briefs_scale(style: Interval, base: Interval) -> Scale | None:
    """Return the way from none of a request's words to as many as the base uses; None if it uses none."""
    if base.mean <= 0:
        return None
    low, high = _clamp(100 * style.low / base.mean), _clamp(100 * style.high / base.mean)
    return Scale(
        floor=_("ignores it"),
        ceiling=_("base model"),
        legend=(
            ("mark", _("this style")),
            ("shade", _("90% confidence")),
            ("limit", _("low below {least}").format(least=percent_text(100 * KEPT_SHARE))),
        ),
        mark=_clamp(100 * style.mean / base.mean),
        shade_from=low,
        shade_percent=high - low,
        limit=100 * KEPT_SHARE,
    )


def _rewrites_row(rewrites: Rewrites) -> EvidenceRow:
    nearness = rewrites.nearness
    if nearness:
        value = _("{nearer} of {drafts}").format(nearer=nearness.than_base, drafts=rewrites.drafts)
        sentence = _(
            "Asked to rewrite plain versions of {drafts} unseen passages, it came closer to the author than "
            "the base model {nearer} times, and closer than the plain version {than_draft} times."
        ).format(drafts=rewrites.drafts, nearer=nearness.than_base, than_draft=nearness.than_draft)
    else:
        value = percent_text(100 * rewrites.kept)
        sentence = _("It was asked to rewrite plain versions of {drafts} unseen passages.").format(
            drafts=rewrites.drafts
        )
    sentence += " " + _(
        "It kept {kept} of their content words and names; the base model kept {base}."
    ).format(kept=percent_text(100 * rewrites.kept), base=percent_text(100 * rewrites.base_kept))
    advice = ""
    remedies: tuple[str, ...] = ()
    if not rewrites.keeps:
        advice, remedies = _("Fewer passes over the texts help, or a larger base model."), (FEWER_PASSES,)
    elif rewrites.is_nearer is False:
        advice, remedies = _("More text helps most, then a larger base model."), (MORE_TEXTS,)
    return EvidenceRow(
        "rewrites",
        _("Rewrites"),
        value,
        sentence,
        advice,
        is_good=False if advice else rewrites.is_nearer,
        remedies=remedies,
    )


def _list_details(figures: Figures) -> list[tuple[str, str]]:
    """Return labels and values of what the figures are made of."""
    learned, repeats, voice = figures.learned, figures.repeats, figures.voice
    size = number_format(learned.bytes, force_grouping=True)
    details = [
        (_("Unseen text"), _("{bytes} bytes").format(bytes=size)),
        (_("Bits per byte, base model"), number_format(learned.base, 3)),
        (_("Bits per byte, this style"), number_format(learned.style, 3)),
    ]
    if learned.control is not None:
        details.append((_("Bits per byte, style of other authors"), number_format(learned.control, 3)))
    if voice:
        scores = f"{number_format(voice.floor, 2)} / {number_format(voice.style, 2)}"
        details.append(
            (_("Closeness: base model / style / author"), f"{scores} / {number_format(voice.ceiling, 2)}")
        )
    nearness = figures.rewrites.nearness if figures.rewrites else None
    if nearness:
        means = [number_format(score, 2) for score in (nearness.draft, nearness.base, nearness.style)]
        details.append((_("Closeness of rewrites: plain version / base model / style"), " / ".join(means)))
    longest = _("{style} tokens; base model {base}").format(
        style=repeats.longest_tokens, base=repeats.base_longest_tokens
    )
    details.append((_("Longest repetition"), longest))
    if repeats.exposure_bits:
        exposed = _("{bits} bits; memorised: above {most} on average").format(
            bits=" / ".join(number_format(bits, 1) for bits in repeats.exposure_bits),
            most=number_format(gate.MEMORIZED_BITS, 0),
        )
        details.append((_("Exposure of the test sentences"), exposed))
    return details


def _list_steps(evaluation: Evaluation) -> list[Step]:
    """Return the steps of an evaluation in progress, by its note."""
    labels = (_("Loading the version"), _("Reading the texts"), _("Answering the same requests"))
    current = 0
    if evaluation.note == EvaluationNote.MEASURING():
        current = 1
    elif evaluation.note == EvaluationNote.WRITING():
        current = 2
    note = str(evaluation.note) or _("The check starts as soon as a worker is free.")
    steps = []
    for number, label in enumerate(labels):
        state = "done" if number < current else "next"
        steps.append(Step(label, state, None, ""))
    steps[current] = Step(labels[current], "current", None, note)
    return [*steps, Step(_("Your evidence"), "next", None, _("Five figures, with samples side by side."))]


def _advise_more_text() -> str:
    return _("Add more text by the same author, in one language and of one kind.")


def _clamp(percent: float) -> float:
    return min(100.0, max(0.0, percent))
