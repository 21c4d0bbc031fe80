"""A version's style card: its probe in words, as a small chart, and beside the base model's answers."""

import math
from dataclasses import dataclass
from typing import Any

from django.db.models import F
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters.models import AdapterVersion, Probe

# From this strength on, in nats a token; the shipped styles are at 0.6 to 0.9 (docs/probing.md).
STRENGTH_WORDS = ((1.0, _("very strong")), (0.4, _("strong")), (0.2, _("clear")), (0.0, _("slight")))
SHOWN_SAMPLES = 2  # beside the sample line, which is a third
SHOWN_MEASURES = {"words_a_sentence": _("Words per sentence"), "reading_ease": _("Reading ease")}


@dataclass(frozen=True)
class Bar:
    """The shift after one question, in nats a token, and its height in the chart."""

    prompt: str
    shift: float
    height_percent: float


@dataclass(frozen=True)
class MeasureRow:
    """One measure of the base's answers and of the style's."""

    label: str
    base: str
    style: str


@dataclass(frozen=True)
class StyleCard:
    """What the page of a style shows of one version."""

    number: int
    strength: float
    effect: str
    factor: float  # as which the chance of a likely next word changes
    peer: Probe | None
    peer_percent: float  # its height in the chart
    bars: list[Bar]
    rows: list[MeasureRow]
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
        bars=[Bar(row["prompt"], row["shift"], 100 * row["shift"] / highest) for row in probe.shifts],
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


def _measure_rows(probe: Probe) -> list[MeasureRow]:
    rows = []
    for name, label in SHOWN_MEASURES.items():
        base = _measures(probe, "base").get(name)
        style = _measures(probe, "style").get(name)
        if base is not None and style is not None:
            rows.append(MeasureRow(str(label), f"{base:.0f}", f"{style:.0f}"))
    return rows
