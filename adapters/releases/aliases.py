"""Aliases: which version answers for its style, and which one is tried on a share of the requests.

Versions never change; the aliases `live` and `canary` move between those that serve. Every move is a row in
the style's history and is published on commit. A move needs no engine: what serves is loaded already.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from adapters.errors import AnsweredMeanwhile, BadShare, NothingToCompare, NothingToRollBackTo, NotServing
from adapters.models import AdapterVersion, Release, Status, Style
from adapters.quality import samples
from adapters.releases import canary_analysis, review
from adapters.routing import publisher
from core.messages import NO_MESSAGE, Message, MessageCode
from events.models import EventType
from events.outbox import record_event
from tenants.access import Access
from tenants.models import ApiKey, User


class MoveReason(MessageCode):
    """Why the platform moved an alias by itself; people give their own reasons."""

    ROLLED_BACK = _("Rolled back.")
    ONLY_ONE = _("No other version was serving.")
    AT_ONCE = _("Set to go live immediately at upload.")
    LIVE_CHANGED = _("The live version changed.")
    REPLACED = _("Replaced by canary version {after}.")


@dataclass(frozen=True)
class Cause:
    """Who moves an alias, and why; without a person or a key it is the platform."""

    actor: User | None = None
    key: ApiKey | None = None
    reason: Message = NO_MESSAGE


def promote(access: Access, version: AdapterVersion) -> bool:
    """Let a version answer for its style, and end the canary: what it is compared with is live no more.

    Return False, and change nothing, if it was live already.
    Raises NotServing and VersionNotShareable.
    """
    with _locked(version.style_id) as style:
        if style.live_version_id == version.pk:
            return False
        _require_serving(version)
        _require_shareable(style, version)
        _audit_move(access, "version.promoted", version, before=style.live_version, after=version)
        _move_live(style, version, Cause(access.user, access.key))
    return True


def roll_back(access: Access, style: Style, *, seen_live: int | None = None) -> AdapterVersion:
    """Let the version answer again that did before the live one, and return it.

    `seen_live` is the number of the live version that was looked at: a second click rolls nothing back again.
    Raises NothingToRollBackTo, NotServing or AnsweredMeanwhile.
    """
    with _locked(style.pk) as held:
        # Two people, or a double click, mean the same roll-back once.
        if seen_live and held.live_version and held.live_version.number != seen_live:
            raise AnsweredMeanwhile
        before = previous_live(held)
        if before is None:
            raise NothingToRollBackTo
        _require_serving(before)
        _audit_move(access, "style.rolled_back", held, before=held.live_version, after=before)
        cause = Cause(access.user, access.key, MoveReason.ROLLED_BACK())
        _move_live(held, before, cause, event_type=EventType.RELEASE_ROLLED_BACK)
    return before


def begin_canary(access: Access, version: AdapterVersion, percent: int) -> None:
    """Let a version answer a share of its style's requests, or change that share; it replaces another canary.

    Raises BadShare, NotServing, VersionNotShareable or NothingToCompare.
    """
    if not 1 <= percent <= 99:
        raise BadShare
    with _locked(version.style_id) as style:
        _require_serving(version)
        _require_shareable(style, version)
        if style.live_version_id in (None, version.pk):
            raise NothingToCompare(number=version.number)
        is_running = style.canary_version_id == version.pk
        access.audit(
            "canary.changed" if is_running else "canary.begun",
            style,
            before={"percent": style.canary_percent} if is_running else {},
            after={"version": version.number, "percent": percent},
        )
        _move_canary(style, version, Cause(access.user, access.key), percent=percent)


@transaction.atomic
def end_canary(access: Access, style: Style) -> bool:
    """End the canary that a style shows; return False when it has ended or was replaced meanwhile."""
    is_ended = stop_canary(style, Cause(access.user, access.key))
    if is_ended:
        access.audit("canary.ended", style)
    return is_ended


def stop_canary(style: Style, cause: Cause, *, is_automatic: bool = False) -> bool:
    """End the canary that a style shows; return False when it has ended or was replaced meanwhile.

    The actor is None for a program with a key, too, so `is_automatic` says whether the platform did it.
    """
    with _locked(style.pk) as held:
        # The caller judged the canary that it read; another one has not been judged.
        if held.canary_version_id is None or held.canary_version_id != style.canary_version_id:
            return False
        _move_canary(held, None, cause, is_automatic=is_automatic)
    return True


def auto_promote(version: AdapterVersion) -> None:
    """Let a version that has just begun to serve answer, if its owner asked for that when uploading it.

    A trained version always waits for its owner. One that begins to serve after a newer one waits to be
    promoted.
    """
    with _locked(version.style_id) as style:
        live = style.live_version
        if not version.auto_promote or review.is_kept_back(style, version):
            return
        if live is None:
            _move_live(style, version, Cause(version.created_by, reason=MoveReason.ONLY_ONE()))
        # A larger upload may be ready only after the one that was uploaded later.
        elif version.number > live.number:
            _move_live(style, version, Cause(version.created_by, reason=MoveReason.AT_ONCE()))


def fall_back(style: Style, reason: Message) -> None:
    """End a canary that serves no more; where the live version serves no more, let another one answer."""
    with _locked(style.pk) as held:
        canary, live = held.canary_version, held.live_version
        if canary and canary.status != Status.SERVING:
            _move_canary(held, None, Cause(reason=reason), is_automatic=True)
        if live and live.status != Status.SERVING:
            _move_live(held, successor(held), Cause(reason=reason), event_type=EventType.RELEASE_ROLLED_BACK)
        review.apply_approval(held)


def end_failing_canaries() -> int:
    """End every canary that does clearly worse than its live version; return how many. Safe to repeat."""
    running = Style.objects.filter(canary_version__isnull=False, live_version__isnull=False)
    ended = 0
    # Each by a lock of its own: a canary that was replaced meanwhile is left alone.
    for style in running.select_related("canary_version", "live_version"):
        comparison = canary_analysis.compare_canary(style)
        if comparison and comparison.fault:
            ended += stop_canary(style, Cause(reason=comparison.fault), is_automatic=True)
    return ended


def previous_live(style: Style) -> AdapterVersion | None:
    """Return the version that answered before the live one. A move back takes back the move before it."""
    moves = style.releases.filter(alias=Release.Alias.LIVE).order_by("pk")
    answered: list[UUID] = []  # in turn, without what was taken back
    for move in moves.values_list("before", "after"):
        for version_id in filter(None, move):
            # A move to the one before is a roll-back: it takes the last one off instead of adding a third.
            if version_id in answered[-2:-1]:
                answered.pop()
            elif version_id not in answered[-1:]:
                answered.append(version_id)
    return AdapterVersion.objects.filter(pk__in=answered[-2:-1]).first()


def successor(style: Style) -> AdapterVersion | None:
    """Return what would answer if the live version ended: the one before it, else the newest that may.

    A version that waits for its owner never answers before its owner has promoted it.
    """
    return successor_beside(style, previous_live(style))


def successor_beside(style: Style, before: AdapterVersion | None) -> AdapterVersion | None:
    """Return a style's successor where it is known which version answered before the live one."""
    if before and before.status == Status.SERVING:
        return before
    was_live = style.releases.filter(alias=Release.Alias.LIVE).values("after")
    is_agreed = Q(auto_promote=True) | Q(pk__in=was_live)
    serving = style.versions.filter(~Q(pk=style.live_version_id), is_agreed, status=Status.SERVING)
    return serving.order_by("-number").first()


@contextmanager
def _locked(style_id: UUID) -> Iterator[Style]:
    """Lock a style while its aliases move, and publish it on commit."""
    with transaction.atomic():
        # Without its versions: PostgreSQL reads joined rows as they were before it waited for the lock.
        style = Style.objects.select_for_update(no_key=True).get(pk=style_id)
        yield style
        publisher.mark_changed(style)


def _require_serving(version: AdapterVersion) -> None:
    # While the style is locked: a version that ends at this moment waits for the lock, and then falls back.
    if not AdapterVersion.objects.filter(pk=version.pk, status=Status.SERVING).exists():
        raise NotServing(number=version.number)


def _require_shareable(style: Style, version: AdapterVersion) -> None:
    if review.is_kept_back(style, version):
        review.require_shareable(version)


def _audit_move(
    access: Access,
    action: str,
    row: AdapterVersion | Style,
    *,
    before: AdapterVersion | None,
    after: AdapterVersion,
) -> None:
    was_live = before.number if before else None
    access.audit(action, row, before={"live_version": was_live}, after={"live_version": after.number})


def _move_live(
    style: Style,
    after: AdapterVersion | None,
    cause: Cause,
    *,
    event_type: EventType = EventType.RELEASE_PROMOTED,
) -> None:
    if style.live_version == after:
        return
    changes: dict[str, Any] = {"live_version": after, "changed_at": timezone.now()}
    if style.sample_prompt:  # the sample is what that version answered
        line = samples.sample_line_of(after, style.sample_prompt)
        if line or style.live_version:  # a first version may come with a sample, and answer later
            changes["sample"] = line
    Style.objects.filter(pk=style.pk).update(**changes)
    before = style.live_version
    _record_move(style, Release.Alias.LIVE, cause, before=before, after=after)
    style.live_version = after
    style.sample = changes.get("sample", style.sample)
    review.apply_approval(style)
    # After the move, so that the event of the canary's end shows what answers now.
    if style.canary_version:
        _move_canary(style, None, replace(cause, reason=MoveReason.LIVE_CHANGED()))
    record_event(
        style.owner_id,
        event_type,
        style,
        version=after.number if after else None,
        previous_version=before.number if before else None,
        reason=cause.reason,
    )


def _move_canary(
    style: Style,
    after: AdapterVersion | None,
    cause: Cause,
    *,
    percent: int = 0,
    is_automatic: bool = False,
) -> None:
    before = style.canary_version
    if before == after and style.canary_percent == percent:
        return
    # Another share is still the same canary: its figures go on.
    since = style.canary_since
    if before != after:
        since = timezone.now() if after else None
    Style.objects.filter(pk=style.pk).update(canary_version=after, canary_percent=percent, canary_since=since)
    _record_move(style, Release.Alias.CANARY, cause, before=before, after=after, percent=percent)
    style.canary_version = after
    style.canary_percent = percent
    style.canary_since = since
    if before and before != after:
        reason = cause.reason
        if after and not reason:
            reason = MoveReason.REPLACED(after=after.number)
        facts = {"version": before.number, "is_automatic": is_automatic, "reason": reason}
        record_event(style.owner_id, EventType.CANARY_ENDED, style, **facts)


def _record_move(
    style: Style,
    alias: Release.Alias,
    cause: Cause,
    *,
    before: AdapterVersion | None,
    after: AdapterVersion | None,
    percent: int = 0,
) -> None:
    style.releases.create(
        alias=alias,
        before=before,
        after=after,
        percent=percent,
        actor=cause.actor,
        api_key=cause.key,
        reason=cause.reason,
    )
