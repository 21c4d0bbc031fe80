"""Review: of a public style others get what operators approved, and nothing that changes afterwards.

A version is approved for good: it never changes. When the owner promotes another one, the owner has it at
once, and everybody else keeps the approved one that they have. So it is with the words. Rolling back to a
version that was approved reaches all at once. The house's own styles need no approval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models.functions import Now

from adapters.errors import ChangedMeanwhile
from adapters.models import AdapterVersion, Status, Style
from adapters.models.styles import REVIEWED_WORDS
from adapters.quality import samples


@dataclass(frozen=True)
class PendingReview:
    """What of a public style others don't have yet, and what they have instead."""

    live: AdapterVersion | None  # where it waits
    approved: AdapterVersion | None
    words: dict[str, str]  # field → what others read, where that is another text
    is_declined: bool


def pending_review(style: Style) -> PendingReview | None:
    """Return what of a public style waits for operators or was declined by them, or None."""
    if not style.is_reviewed:
        return None
    live = style.live_version
    waits = live if live and live.approved_at is None else None
    approved = {field: getattr(style, f"approved_{field}") for field in REVIEWED_WORDS}
    words = {field: text for field, text in approved.items() if text != getattr(style, field)}
    if waits is None and not words:
        return None
    is_declined = not Style.objects.changed().filter(pk=style.pk).exists()
    return PendingReview(waits, style.approved_version, words, is_declined)


def apply_approval(style: Style) -> None:
    """Let others have the live version of a style once it is approved; else they keep what they have.

    Where that serves no more, they get the newest approved version that does, or none. For who holds the
    style.
    """
    if not style.is_reviewed:
        return
    approved = style.versions.filter(status=Status.SERVING, approved_at__isnull=False)
    serving = {version.pk: version for version in approved.order_by("number")}
    newest = next(reversed(serving.values()), None)
    kept = serving.get(style.approved_version_id) if style.approved_version_id else None
    live = serving.get(style.live_version_id) if style.live_version_id else None
    after = live or kept or newest
    if (after.pk if after else None) == style.approved_version_id:
        return
    style.approved_version = after
    style.approved_sample = samples.sample_line_of(after, style.approved_sample_prompt)
    style.save(update_fields=["approved_version", "approved_sample"])


def approve_version(style: Style) -> None:
    """Let others have what a public style is now: its live version and its words. For who holds the style."""
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
    """Let nothing of a style count as approved: others have it no more."""
    style.versions.exclude(approved_at=None).update(approved_at=None)
    Style.objects.filter(pk=style.pk).update(
        approved_version=None, **{f"approved_{field}": "" for field in (*REVIEWED_WORDS, "sample")}
    )


def require_unchanged(style: Style, seen_at: datetime | None) -> None:
    """Raise ChangedMeanwhile if what a style is has changed since an operator looked at it."""
    if seen_at and style.changed_at and style.changed_at > seen_at:
        raise ChangedMeanwhile
