"""Styles whose weights are those of somebody else's style, under another name.

Equal files have equal digests. Files that were changed a little are known by their fingerprints
(adapters/validation/fingerprint.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.db.models import Exists, OuterRef, Q, QuerySet

from adapters.errors import CopiedStyle
from adapters.models import AdapterVersion, Share, Status, Style
from adapters.validation.fingerprint import read_vector

# The shipped styles' cosines are 0.05 to 0.11. Noise of a fifth of both factors leaves 0.92.
LEAST_COSINE = 0.9
MAX_NAMED = 3


@dataclass(frozen=True)
class Copied:
    """A version of somebody else's style that has the same weights, or nearly: 1 is the same."""

    version: AdapterVersion
    cosine: float

    @property
    def is_identical(self) -> bool:
        """Whether the files are the same to the byte."""
        return self.cosine == 1.0

    def __str__(self) -> str:
        name = self.version.model_name
        if self.is_identical:
            return f"Its weights are identical to those of {name}."
        return f"Its weights are almost identical to those of {name} (cosine {self.cosine:.2f})."


def find_copied(styles: Sequence[Style]) -> dict[UUID, list[Copied]]:
    """Return, for each style, what its live version copies of styles that others than their owner may use.

    One query, with the live versions at hand.
    """
    usable = list(_usable_by_others())
    return {style.pk: _compare(style, usable) for style in styles}


def require_no_copy(style: Style) -> None:
    """Raise CopiedStyle if the live version's file is that of somebody else's public style."""
    if style.owner.is_first_party:
        return
    for copied in find_copied([style])[style.pk]:
        if copied.is_identical and copied.version.style.is_public:
            raise CopiedStyle(name=copied.version.style.model_name)


def _usable_by_others() -> QuerySet[AdapterVersion]:
    shared = Share.objects.in_force().filter(style=OuterRef("style"))
    versions = AdapterVersion.objects.filter(status=Status.SERVING, style__retired_at=None)
    usable = versions.filter(Q(style__is_public=True) | Exists(shared)).exclude(sha256="")
    return usable.select_related("style__owner").order_by("created_at")


def _compare(style: Style, others: Sequence[AdapterVersion]) -> list[Copied]:
    version = style.live_version
    if version is None:
        return []
    found = []
    for other in others:
        if other.style.owner_id == style.owner_id or other.style.base_model_id != style.base_model_id:
            continue
        cosine = 1.0 if other.sha256 == version.sha256 else min(_cosine(version, other), 0.9999)
        if cosine >= LEAST_COSINE:
            found.append(Copied(other, cosine))
    found.sort(key=lambda copied: copied.cosine, reverse=True)
    return found[:MAX_NAMED]


def _cosine(one: AdapterVersion, other: AdapterVersion) -> float:
    if not (one.fingerprint and other.fingerprint):
        return 0.0
    return float(np.dot(read_vector(one.fingerprint), read_vector(other.fingerprint)))
