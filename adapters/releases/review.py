"""Review: of a public style others get what operators approved, and nothing that changes afterwards.

A version is approved for good: it never changes. When the owner promotes another one, the owner has it at
once, and all others keep the approved one that they have. The same holds for the words. Rolling back to a
version that was approved reaches everybody at once. First-party styles need no approval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from adapters.errors import ChangedMeanwhile, CopiedStyle, VersionNotShareable
from adapters.models import AdapterVersion, Share, Status, Style
from adapters.models.styles import REVIEWED_WORDS
from adapters.quality import samples
from adapters.validation.weights import read_vector


@dataclass(frozen=True)
class PendingReview:
    """What others don't have yet of a public style, and what they have instead."""

    live: AdapterVersion | None  # if it is not approved
    approved: AdapterVersion | None
    words: dict[str, str]  # field → what others read, where that is another text
    is_declined: bool


def pending_review(style: Style) -> PendingReview | None:
    """Return what operators have not approved of a public style, or declined; None if there is nothing."""
    if not style.is_reviewed:
        return None
    live = style.live_version
    if live and live.approved_at:
        live = None
    words = {}
    for field in REVIEWED_WORDS:
        approved = getattr(style, f"approved_{field}")
        if approved != getattr(style, field):
            words[field] = approved
    if live is None and not words:
        return None
    changed_at = style.changed_at or style.created_at
    is_declined = style.declined_at is not None and style.declined_at >= changed_at
    return PendingReview(live, style.approved_version, words, is_declined)


def apply_approval(style: Style) -> None:
    """Let others have the live version of a style once it is approved; else they keep what they have.

    Where that serves no more, they get the newest approved version that does, or none. The caller locks the
    style.
    """
    if not style.is_reviewed:
        return
    approved = style.versions.filter(status=Status.SERVING, approved_at__isnull=False)
    serving = {version.pk: version for version in approved.order_by("number")}
    approved_id: UUID | None
    if style.live_version_id in serving:
        approved_id = style.live_version_id
    elif style.approved_version_id in serving:
        approved_id = style.approved_version_id
    else:
        approved_id = next(reversed(serving), None)  # the newest
    if approved_id == style.approved_version_id:
        return
    after = serving[approved_id] if approved_id else None
    style.approved_version = after
    style.approved_sample = samples.sample_line_of(after, style.approved_sample_prompt)
    style.save(update_fields=["approved_version", "approved_sample"])


def approve_version(style: Style) -> None:
    """Let others have what a public style is now: its live version and its words. The caller locks it."""
    if style.live_version:
        AdapterVersion.objects.filter(pk=style.live_version.pk, approved_at=None).update(approved_at=Now())
    apply_approval(style)
    approve_words(style, REVIEWED_WORDS)


def approve_words(style: Style, fields: Sequence[str]) -> None:
    """Let others read some words of a public style as they are now."""
    for field in fields:
        setattr(style, f"approved_{field}", getattr(style, field))
    style.approved_sample = samples.sample_line_of(style.approved_version, style.approved_sample_prompt)
    style.save(update_fields=[f"approved_{field}" for field in (*REVIEWED_WORDS, "sample")])


def discard_review(style: Style) -> None:
    """Withdraw every approval of a style: other workspaces no longer have it."""
    style.versions.exclude(approved_at=None).update(approved_at=None)
    Style.objects.filter(pk=style.pk).update(
        approved_version=None, **{f"approved_{field}": "" for field in (*REVIEWED_WORDS, "sample")}
    )


def require_shareable(version: AdapterVersion | None) -> None:
    """Raise VersionNotShareable if other workspaces can't have a version: one that repeats its texts."""
    if version and version.share_refusal:
        raise VersionNotShareable(reason=version.share_refusal)


def is_kept_back(style: Style, version: AdapterVersion) -> bool:
    """Return whether a version can't go live because other workspaces would get it at once."""
    reaches_others = not style.is_reviewed and (style.is_public or style.shares.in_force().exists())
    return reaches_others and bool(version.share_refusal)


def require_unchanged(style: Style, seen_at: datetime | None) -> None:
    """Raise ChangedMeanwhile if what a style is has changed since an operator looked at it."""
    if seen_at and style.changed_at and style.changed_at > seen_at:
        raise ChangedMeanwhile


# Styles whose weights are those of somebody else's style, under another name.
#
# Equal files have equal digests. Files that were changed a little are known by their fingerprints
# (adapters/validation/weights.py).

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
