"""How well answers keep to their briefs: do they have the brief's words, more than those of other briefs?"""

import re
from collections.abc import Sequence
from statistics import fmean

WORD = re.compile(r"[^\W\d_]{4,}")
STEM_LETTERS = 6  # "gardens" and "gardening" count as "garden"


def measure_briefs(briefs: Sequence[str], answers: Sequence[str]) -> float:
    """Return the mean share of a brief's words in its answer, less their share in other briefs' answers.

    0: the answers have nothing to do with their briefs. Words that most briefs have are the template's.
    """
    stems = _without_common([_find_stems(brief) for brief in briefs])
    answered = [_find_stems(answer) for answer in answers]
    own = [_share(brief, answer) for brief, answer in zip(stems, answered, strict=True) if brief]
    others = []
    for brief in stems:
        for other, answer in enumerate(answered):
            if brief and stems[other] != brief:
                others.append(_share(brief, answer))
    return fmean(own) - (fmean(others) if others else 0.0) if own else 0.0


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


def _share(brief: set[str], answer: set[str]) -> float:
    return len(brief & answer) / len(brief)
