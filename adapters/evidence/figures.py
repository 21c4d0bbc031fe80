"""The figures of an evaluation: what the evidence card shows and the gate reads. Stored as JSON."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters import gate
from adapters.models import ShareRefusal
from core.messages import NO_MESSAGE, Message

KEPT_SHARE = 0.8  # of the base's: what keeps to requests, or to a draft's content, less than this is weak


@dataclass(frozen=True)
class Learned:
    """Bits per byte of held-out text: how well each model predicts it. Less is better."""

    bytes: int
    base: float
    style: float
    control: float | None = (
        None  # an adapter trained alike on other authors; None: there is none for this base
    )

    @property
    def gain_percent(self) -> float:
        """By how many percent the style's bits are below the base's."""
        return 100 * (1 - self.style / self.base)

    @property
    def genre_percent(self) -> float | None:
        """How much of the gain the control has, too: it comes from prose alone."""
        return None if self.control is None else 100 * (1 - self.control / self.base)

    @property
    def own_percent(self) -> float | None:
        """What the style gains over the control: what is the author's own."""
        return None if self.control is None else 100 * (self.control - self.style) / self.base


@dataclass(frozen=True)
class Repeats:
    """What the style repeats word for word, and the base model doesn't."""

    examples: int  # passages that were tried
    repeated: int  # of them, in part
    longest_tokens: int
    base_longest_tokens: int
    exposure_bits: tuple[float, ...] = ()
    least_tokens: int = 32  # in a row, to count as repeated; figures that don't say so are from before 1.0.0

    @property
    def percent(self) -> float:
        """Which share of the passages it repeats."""
        return 100 * self.repeated / self.examples if self.examples else 0.0

    @property
    def mean_exposure_bits(self) -> float | None:
        """The mean exposure of the canaries; None if there were none."""
        return gate.mean_bits(self.exposure_bits) if self.exposure_bits else None

    @property
    def memory(self) -> gate.Memory:
        """How well it knows the canaries, which it has seen once an epoch."""
        return gate.judge_memory(self.exposure_bits)

    @property
    def share_refusal(self) -> Message:
        """Why other workspaces can't have the version, if that is because it repeats its texts."""
        if self.repeated > gate.MOST_REPEATED:
            return ShareRefusal.VERBATIM(
                repeated=self.repeated, examples=self.examples, tokens=self.least_tokens
            )
        if self.memory == gate.Memory.MEMORIZED:
            bits = round(gate.mean_bits(self.exposure_bits), 1)
            return ShareRefusal.BY_HEART(bits=bits, limit=gate.MEMORIZED_BITS)
        return NO_MESSAGE


@dataclass(frozen=True)
class Voice:
    """How near the style's answers are to the author's texts. Scores are the verifier's."""

    language: str
    answers: int
    recognized: int  # answers that score like nine tenths of the author's own passages
    floor: float  # mean score of the base model's answers
    style: float
    ceiling: float  # mean score of held-out passages of the author
    share: float  # of the way from floor to ceiling, with an interval of 90 %
    low: float
    high: float
    new_text: float | None = None  # what a new book by the author would score; None: nobody has measured it
    sentence_words: float | None = None  # of the author's mean sentence; None: checked before this was kept

    @property
    def new_text_share(self) -> float | None:
        """How far a new book would come; None if it isn't known to be farther than the held-out passages."""
        if self.new_text is None or not self.floor < self.new_text < self.ceiling:
            return None
        return (self.new_text - self.floor) / (self.ceiling - self.floor)


@dataclass(frozen=True)
class Interval:
    """A mean over requests, and its 90 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Briefs:
    """Which share of a brief's words is in its answer, less their share in answers to other briefs.

    `margin` is what the style has above KEPT_SHARE of the base's. Both intervals and the margin's are None in
    figures from before December 2026.
    """

    style: float
    base: float
    style_interval: Interval | None = None
    base_interval: Interval | None = None
    margin: Interval | None = None

    @property
    def keeps(self) -> bool | None:
        """Whether the style keeps to briefs as the base does; None if these answers can't tell.

        They can't where the base's own share isn't clearly above 0, or the margin's interval has both signs.
        """
        if self.base_interval is None or self.margin is None or self.base_interval.low <= 0:
            return None
        if self.margin.low >= 0:
            return True
        return False if self.margin.high < 0 else None

    @property
    def percent_of_base(self) -> float | None:
        """How well the style keeps to briefs, in percent of the base; None if these answers can't tell."""
        return None if self.keeps is None else 100 * max(0.0, self.style) / self.base


@dataclass(frozen=True)
class Nearness:
    """How near rewrites are to the author. Scores are the verifier's, means over the drafts."""

    than_base: int  # rewrites that are nearer than the base model's of the same draft
    than_draft: int  # rewrites that are nearer than the draft itself
    style: float
    base: float
    draft: float


@dataclass(frozen=True)
class Rewrites:
    """What becomes of neutral drafts of unseen passages, by the style and by the base asked the same."""

    drafts: int
    kept: float  # share of a draft's content words and names that the style's rewriting has
    base_kept: float
    nearness: Nearness | None = None  # None: nobody knows how the author sounds

    @property
    def keeps(self) -> bool:
        """Whether the style keeps the content about as well as the base does."""
        return self.kept >= KEPT_SHARE * self.base_kept

    @property
    def is_nearer(self) -> bool | None:
        """Whether most rewrites are nearer to the author than the base's; None if that isn't known."""
        return None if self.nearness is None else 2 * self.nearness.than_base > self.drafts


class VoiceUnknown(StrEnum):
    """Why nobody can say how near answers are to the author."""

    LANGUAGE = "language"  # no other authors to compare with
    TOO_LITTLE_TEXT = "too_little_text"
    NOT_DISTINCT = "not_distinct"  # the author's own passages score no higher than others'


@dataclass(frozen=True)
class Figures:
    """All figures of an evaluation."""

    learned: Learned
    repeats: Repeats
    voice: Voice | None
    briefs: Briefs | None
    voice_unknown: str = ""  # a VoiceUnknown, where there is no voice
    rewrites: Rewrites | None = None  # None: too few drafts, or figures from before December 2026

    def as_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return asdict(self)

    @classmethod
    def read(cls, stored: dict[str, Any]) -> "Figures":
        """Return the figures of a row's JSON."""
        repeats = {**stored["repeats"], "exposure_bits": tuple(stored["repeats"]["exposure_bits"])}
        return cls(
            learned=Learned(**stored["learned"]),
            repeats=Repeats(**repeats),
            voice=Voice(**stored["voice"]) if stored["voice"] else None,
            briefs=_read_briefs(stored["briefs"]) if stored["briefs"] else None,
            voice_unknown=stored["voice_unknown"],
            rewrites=_read_rewrites(stored.get("rewrites")),
        )

    @property
    def share_refusal(self) -> Message:
        """Why other workspaces can't have the version; no message: they can."""
        if self.learned.gain_percent <= 0:
            return ShareRefusal.LEARNED_NOTHING()
        return self.repeats.share_refusal


def _read_briefs(stored: dict[str, Any]) -> Briefs:
    intervals = {}
    for name in ("style_interval", "base_interval", "margin"):
        intervals[name] = Interval(**stored[name]) if stored.get(name) else None
    return Briefs(stored["style"], stored["base"], **intervals)


def _read_rewrites(stored: dict[str, Any] | None) -> Rewrites | None:
    if not stored:
        return None
    nearness = Nearness(**stored["nearness"]) if stored["nearness"] else None
    return Rewrites(**{**stored, "nearness": nearness})


# How well answers keep to their briefs: do they have the brief's words, more than those of other briefs?

WORD = re.compile(r"[^\W\d_]{4,}")
STEM_LETTERS = 6  # "gardens" and "gardening" count as "garden"
LEAST_BRIEFS = 5  # different ones: from fewer, no interval means anything
DRAWS = 2_000
TAIL_PERCENT = 5  # on each side of a 90 % interval


def compare_briefs(
    briefs: Sequence[str], style_answers: Sequence[str], base_answers: Sequence[str], *, seed: int
) -> Briefs:
    """Return how well a style's and the base's answers to the same briefs keep to them.

    A bootstrap draws briefs, with all their answers: one that comes twice is no second witness. Without
    LEAST_BRIEFS different ones there are no intervals. The same seed gives the same intervals.
    """
    style = np.array(measure_briefs(briefs, style_answers))
    base = np.array(measure_briefs(briefs, base_answers))
    if not len(style):
        return Briefs(style=0.0, base=0.0)
    means = Briefs(style=float(style.mean()), base=float(base.mean()))
    if len(style) < LEAST_BRIEFS:
        return means
    drawn = np.random.default_rng(seed).integers(len(style), size=(DRAWS, len(style)))
    return Briefs(
        means.style,
        means.base,
        style_interval=_interval(style, drawn),
        base_interval=_interval(base, drawn),
        margin=_interval(style - KEPT_SHARE * base, drawn),
    )


def measure_briefs(briefs: Sequence[str], answers: Sequence[str]) -> list[float]:
    """Return, for each different brief, the share of its words in its answers, less that in others' answers.

    0: the answers have nothing to do with their briefs. Words that most briefs have are the template's.
    Briefs without words of their own are left out.
    """
    stems = _without_common([_find_stems(brief) for brief in briefs])
    answered = [_find_stems(answer) for answer in answers]
    found = []
    for brief in dict.fromkeys(frozenset(stem) for stem in stems if stem):
        own: list[float] = []
        others: list[float] = []
        for other, answer in zip(stems, answered, strict=True):
            (own if other == brief else others).append(len(brief & answer) / len(brief))
        found.append(float(np.mean(own) - (np.mean(others) if others else 0.0)))
    return found


def _interval(values: NDArray[np.float64], drawn: NDArray[np.int64]) -> Interval:
    low, high = np.percentile(values[drawn].mean(axis=1), [TAIL_PERCENT, 100 - TAIL_PERCENT])
    return Interval(float(values.mean()), float(low), float(high))


def _find_stems(text: str) -> set[str]:
    return {word[:STEM_LETTERS].lower() for word in WORD.findall(text)}


def _without_common(briefs: list[set[str]]) -> list[set[str]]:
    distinct = {frozenset(brief) for brief in briefs}
    if len(distinct) < 3:
        return briefs
    counts: dict[str, int] = {}
    for brief in distinct:
        for stem in brief:
            counts[stem] = counts.get(stem, 0) + 1
    common = {stem for stem, count in counts.items() if count > len(distinct) / 3}
    return [brief - common for brief in briefs]
