"""Samples: what a version writes. Each version that serves answers some prompts once, to be shown.

The base model answers the same prompts, and simple measures compare the two.
"""

import logging
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from adapters.engines.client import Completion, complete_all
from adapters.errors import EngineUnavailable
from adapters.models import AdapterVersion, Engine, Placement, Probe, Status, Style
from adapters.quality.prose_metrics import measure_prose
from core import locks

# From this strength on, in nats a token; the shipped styles are at 0.6 to 0.9 (docs/probing.md).
STRENGTH_WORDS = ((1.0, _("very strong")), (0.4, _("strong")), (0.2, _("clear")), (0.0, _("slight")))
SHOWN_SAMPLES = 2  # beside the sample line, which is a third
SHOWN_MEASURES = {"words_a_sentence": _("Words per sentence"), "reading_ease": _("Reading ease")}


@dataclass(frozen=True)
class StyleCard:
    """What the page of a style shows of one version."""

    number: int
    strength: float
    effect: str
    factor: float  # as which the chance of a likely next word changes
    peer: Probe | None
    peer_percent: float  # its height in the chart
    bars: list[dict[str, Any]]  # prompt, shift in nats a token, and its height_percent in the chart
    rows: list[dict[str, str]]  # a measure of the base's answers and of the style's: label, base, style
    phrases: list[str]
    samples: list[dict[str, str]]
    sample_count: int

    @property
    def word(self) -> str:
        """Return the strength as a word."""
        return strength_word(self.strength)


def style_card_of(version: AdapterVersion | None, *, has_all_samples: bool = False) -> StyleCard | None:
    """Return a version's card, or None before its probe was taken; two queries.

    `has_all_samples`: with everything that it was asked and answered, for its owner.
    """
    probe = Probe.objects.filter(version=version).first() if version else None
    if version is None or probe is None:
        return None
    peer = _peer_of(version)
    heights = [probe.strength]
    heights += [row["shift"] for row in probe.shifts]
    if peer:
        heights.append(peer.strength)
    highest = max(heights)
    return StyleCard(
        number=version.number,
        strength=probe.strength,
        effect=describe_effect(probe.strength),
        factor=math.exp(probe.strength),
        peer=peer,
        peer_percent=100 * peer.strength / highest if peer else 0,
        bars=[{**row, "height_percent": 100 * row["shift"] / highest} for row in probe.shifts],
        rows=_measure_rows(probe),
        phrases=_measures(probe, "style").get("phrases", []),
        samples=probe.samples if has_all_samples else probe.samples[:SHOWN_SAMPLES],
        sample_count=len(probe.samples),
    )


def describe_effect(strength: float) -> str:
    """Return what an effect of so many nats a token is called."""
    return gettext("{strength} effect").format(strength=strength_word(strength))


def strength_word(strength: float) -> str:
    """Return the word for a strength in nats a token."""
    return next(str(word) for least, word in STRENGTH_WORDS if strength >= least)


def facts_of(version: AdapterVersion | None) -> list[str]:
    """Return what a catalogue says of a version in few words: a strong effect, 14 words a sentence."""
    probe: Probe | None = getattr(version, "probe", None)
    if probe is None:
        return []
    facts = [describe_effect(probe.strength)]
    length = _measures(probe, "style").get("words_a_sentence")
    if length:
        facts.append(gettext("{length:.0f} words per sentence").format(length=length))
    return facts


def _peer_of(version: AdapterVersion) -> Probe | None:
    """Return the probe of a style that everybody knows, to compare with: our own oldest other one."""
    probes = Probe.objects.filter(
        version__style__owner__is_first_party=True,
        version__style__base_model=version.style.base_model_id,
        version__style__is_public=True,
        version__style__live_version=F("version"),
    )
    others = probes.exclude(version__style=version.style_id).select_related("version__style")
    return others.order_by("version__style__created_at").first()


def _measures(probe: Probe, whose: str) -> dict[str, Any]:
    """Return the measures of the base's answers or of the style's; empty before samples are taken."""
    measures: dict[str, Any] = probe.measures.get(whose, {})
    return measures


def _measure_rows(probe: Probe) -> list[dict[str, str]]:
    rows = []
    for name, label in SHOWN_MEASURES.items():
        base = _measures(probe, "base").get(name)
        style = _measures(probe, "style").get(name)
        if base is not None and style is not None:
            rows.append({"label": str(label), "base": f"{base:.0f}", "style": f"{style:.0f}"})
    return rows


logger = logging.getLogger(__name__)

PROMPTS = (
    "Why is the sky blue?",
    "Write a note to a neighbour about noise.",
    "How do I choose a good book?",
)
DELAY = timedelta(seconds=10)  # after loading: requests that waited for the new style come first
MAX_TOKENS = 60
EMPTY_ANSWER = gettext_noop("(empty answer)")

type Answers = dict[str, str]  # prompt → answer


def take_missing_samples(engine: Engine) -> int:
    """Take the samples that one version on an engine lacks; return how many versions had all taken.

    One version a call: the answers take seconds, and tenants write meanwhile.
    """
    with locks.only_one(f"samples of base model {engine.base_model_id}") as is_ours:
        placement = _next_without_samples(engine) if is_ours else None
        if placement is None:
            return 0
        try:
            take_samples(placement)
        except EngineUnavailable as error:
            logger.info("no samples of %s yet: %s", placement.version, error.message)
            return 0
    return 1


def take_samples(placement: Placement) -> None:
    """Store what a placed version and the base answer, and how both measure. Raises EngineUnavailable.

    Answers that are known already are not generated again.
    """
    version, engine = placement.version, placement.engine
    prompts = prompts_of(version.style)
    known = {row["prompt"]: row["style"] for row in version.probe.samples}
    style_answers = _complete_missing(known, prompts, engine, placement.loaded_as)
    base_answers = _complete_missing(_known_base_answers(engine), prompts, engine, engine.base_model.name)
    rows = []
    for prompt in prompts:
        rows.append({"prompt": prompt, "base": base_answers[prompt], "style": style_answers[prompt]})
    Probe.objects.filter(version=version).update(samples=rows, measures=_compare_prose(rows))
    _fill_sample_lines(version, style_answers)


def prompts_of(style: Style) -> list[str]:
    """Return the prompts for a style's versions: those of all styles, and its own."""
    prompts = [*PROMPTS, style.sample_prompt, style.approved_sample_prompt]
    return list(dict.fromkeys(prompt for prompt in prompts if prompt))


def sample_line_of(version: AdapterVersion | None, prompt: str) -> str:
    """Return what a version answered to a prompt, as a style's sample line; "" without one."""
    samples = Probe.objects.filter(version=version).values_list("samples", flat=True).first() or []
    for row in samples:
        if row["prompt"] == prompt:
            return _sample_line(row["style"])
    return ""


def shown_line(line: str) -> str:
    """Return a style's sample line as people read it: what says that there is none, in their language."""
    return gettext(line) if line == EMPTY_ANSWER else line


def _next_without_samples(engine: Engine) -> Placement | None:
    """Return the version on an engine that has waited longest for its samples, or for its style's line."""
    is_shown = Q(version__style__live_version=F("version")) | Q(version__style__live_version=None)
    without_line = is_shown & Q(version__style__sample="") & ~Q(version__style__sample_prompt="")
    # No request waits for a version that waits for its owner, who wants to read what it writes.
    may_be_asked = Q(loaded_at__lt=timezone.now() - DELAY) | Q(version__auto_promote=False)
    loaded = Placement.objects.filter(
        Q(version__probe__samples=[]) | without_line,
        may_be_asked,
        engine=engine,
        loaded_at__isnull=False,
        version__status=Status.SERVING,
        version__probe__isnull=False,
    )
    loaded = loaded.select_related("engine__base_model", "version__style", "version__probe")
    return loaded.order_by("loaded_at").first()


def _known_base_answers(engine: Engine) -> Answers:
    """Return what the same base model answered when another version was sampled last."""
    probes = Probe.objects.filter(version__style__base_model=engine.base_model_id).exclude(samples=[])
    latest = probes.order_by("-at").first()
    return {row["prompt"]: row["base"] for row in latest.samples} if latest else {}


def _complete_missing(known: Answers, prompts: list[str], engine: Engine, name: str) -> Answers:
    """Return the known answers with those of a model to the other prompts. Raises EngineUnavailable."""
    missing = [prompt for prompt in prompts if prompt not in known]
    answers = complete_all(engine, [Completion(name, prompt, MAX_TOKENS) for prompt in missing])
    return known | dict(zip(missing, answers, strict=True))


def _compare_prose(rows: list[dict[str, str]]) -> dict[str, object]:
    base_texts = [row["base"] for row in rows]
    style_texts = [row["style"] for row in rows]
    return {
        "base": measure_prose(base_texts, against=style_texts).as_json(),
        "style": measure_prose(style_texts, against=base_texts).as_json(),
    }


def _fill_sample_lines(version: AdapterVersion, answers: Answers) -> None:
    """Give the style its sample line, and the approved one, where they are empty and this version's.

    Before a version is live, the line is that of the first one that answered. Each UPDATE names the prompt
    that was answered: the owner may have changed it meanwhile.
    """
    style = version.style
    if style.sample_prompt:
        is_shown = Q(live_version=version) | Q(live_version=None)
        Style.objects.filter(is_shown, pk=style.pk, sample="", sample_prompt=style.sample_prompt).update(
            sample=_sample_line(answers[style.sample_prompt])
        )
    if style.approved_sample_prompt:
        Style.objects.filter(
            pk=style.pk,
            approved_version=version,
            approved_sample="",
            approved_sample_prompt=style.approved_sample_prompt,
        ).update(approved_sample=_sample_line(answers[style.approved_sample_prompt]))


def _sample_line(text: str) -> str:
    """Return whole sentences, where there are any, that fit the field."""
    limit = Style._meta.get_field("sample").max_length
    text = text.strip()[:limit]
    end = max(text.rfind(mark) for mark in ".!?\n")
    whole_sentences = text[: end + 1].strip() if end > 0 else text
    return whole_sentences or EMPTY_ANSWER
