"""Erase versions: their files go from everywhere, step by step, each step with its proof.

withdrawn (no route leads to it) → drained (no request is in flight on it) → gone from the storage and from
each engine (see engine_purge.py) → finished. The row of the version stays: the ledger names it.

Rows are the queue. Each step looks at the present state and notes what it waits for; it may be repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import redis
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from adapters import object_store
from adapters.catalog import sharing
from adapters.erasure.report import STAYS, erasure_reports
from adapters.errors import StillUsed
from adapters.models import (
    AdapterVersion,
    Engine,
    EngineErasure,
    Erasure,
    Evaluation,
    Placement,
    Probe,
    Selection,
    Share,
    Status,
    Style,
)
from adapters.placement import transitions
from adapters.quality import samples
from adapters.uploads import sessions
from adapters.validation.limits import ARCHIVE_LIMIT, LIMITS_BYTES
from core import locks, valkey
from core.errors import Unavailable
from core.messages import Message, MessageCode
from events.models import EventType
from events.outbox import record_event
from tenants.models import Tenant, User

# A presigned form can't be called back: when the longest one has expired, the storage is emptied once more.
FORM_VALID_FOR = timedelta(seconds=object_store.form_valid_s(ARCHIVE_LIMIT) + 300)


class ErasureNote(MessageCode):
    """What an erasure waits for."""

    ROUTED = _("A workspace's routes still include it. They'll be updated within seconds.")
    VALKEY_SILENT = _("We can't reach Valkey. We'll retry automatically.")
    STILL_STORED = _("Still in storage: {left}.")
    TEXTS_KEPT = _("The texts it was trained on are deleted within minutes.")


def erase_version(version: AdapterVersion, by: User | None, *, at_once: bool = False) -> Erasure:
    """Retire a version and begin to erase its files; return the erasure. A second call does nothing.

    Raises StillUsed when other workspaces would lose the style, unless `at_once` takes it from them.
    """
    require_unused(version, at_once=at_once)
    with transaction.atomic():
        # First of all locks: an upload, which holds it, waits for the style's row, which this locks next.
        sessions.lock_uploads(version.style.owner_id)
        erasure = _begin_erasure(version, by)
        _close_style(version.style)
    return erasure


def erase_style(style: Style, by: User | None, *, at_once: bool = False) -> list[Erasure]:
    """Begin to erase all versions of a style and take it out of every list; return the erasures.

    The style's usage stays in the ledger.

    Raises StillUsed when other workspaces have it, unless `at_once` takes it from them.
    """
    if not at_once and (others := sharing.audience(style)):
        raise StillUsed(count=others)
    with transaction.atomic():
        sessions.lock_uploads(style.owner_id)  # no version is begun meanwhile
        # Placements before the style's row, the order of `transitions.mark_loaded`: no deadlock.
        placed = Placement.objects.filter(version__style=style).values_list("pk", flat=True)
        Placement.objects.lock(placed)
        erasures = []
        for version in style.versions.filter(erasure=None).select_related("style__owner"):
            erasures.append(_begin_erasure(version, by))
        _close_style(style)
    return erasures


def count_other_users(version: AdapterVersion) -> int:
    """Return how many other workspaces lose the style with a version: none while another version serves."""
    answering = version.style.versions.filter(status=Status.SERVING)
    if version.style.is_reviewed:  # only approved versions answer other workspaces
        answering = answering.exclude(approved_at=None)
    is_answering = answering.filter(pk=version.pk).exists()
    is_last = not answering.exclude(pk=version.pk).exists()
    return sharing.audience(version.style) if is_answering and is_last else 0


def unfinished_erasures() -> QuerySet[Erasure]:
    """Return the erasures that can go on here, oldest first. Those that wait for engines are left out."""
    waits_for_engine = Exists(EngineErasure.objects.filter(erasure=OuterRef("pk"), copy_gone_at=None))
    is_in_storage = Q(storage_gone_at=None)
    can_finish = Q(finished_at=None) & ~waits_for_engine
    are_forms_expired = Q(version__created_at__lt=timezone.now() - FORM_VALID_FOR)
    was_emptied_before = Q(storage_gone_at__lt=F("version__created_at") + FORM_VALID_FOR)
    must_be_emptied_again = are_forms_expired & was_emptied_before
    unfinished = Erasure.objects.filter(is_in_storage | can_finish | must_be_emptied_again)
    return unfinished.order_by("requested_at")


def advance_erasure(erasure: Erasure) -> list[Engine]:
    """Take every step that can be taken here; return the engines that have a step to take now."""
    with locks.only_one(f"erasure {erasure.pk}") as mine:
        if mine:
            try:
                _take_steps(erasure)
            except Unavailable as error:
                _record_wait(erasure, Message.of(error))
            except redis.RedisError:
                _record_wait(erasure, ErasureNote.VALKEY_SILENT())
    if erasure.drained_at is None:
        return []
    names = erasure.engines.filter(unregistered_at=None).values("engine")
    return list(Engine.objects.filter(name__in=names, is_gone=False))


def require_unused(version: AdapterVersion, *, at_once: bool) -> None:
    others = 0 if at_once else count_other_users(version)
    if others:
        raise StillUsed(count=others)


def _begin_erasure(version: AdapterVersion, by: User | None) -> Erasure:
    with transaction.atomic():
        # First its row: the event of the retirement names the erasure.
        erasure, is_new = Erasure.objects.get_or_create(version=version, defaults={"requested_by": by})
        transitions.retire_version(version)
        if is_new:
            AdapterVersion.objects.filter(pk=version.pk).update(conversions=[])  # their files go
            _rewrite_sample(version.style_id)
            _record_engines(erasure)
    return erasure


def _rewrite_sample(style_id: UUID) -> None:
    """Set a style's sample to an answer of its live version: the old one may be of the erased version."""
    style = Style.objects.select_related("live_version").get(pk=style_id)
    sample = samples.sample_line_of(style.live_version, style.sample_prompt)
    Style.objects.filter(pk=style_id).update(sample=sample)


def _record_engines(erasure: Erasure) -> None:
    """Make a row for each engine that may have the version: it was placed there at some time."""
    names = erasure.version.placements.values_list("engine__name", flat=True)
    rows = [EngineErasure(erasure=erasure, engine=name) for name in names]
    EngineErasure.objects.bulk_create(rows, ignore_conflicts=True)


def _close_style(style: Style) -> None:
    """Take a style out of every list and end its shares, once each of its versions has an erasure."""
    with transaction.atomic():
        sessions.lock_uploads(style.owner_id)
        if style.versions.filter(erasure=None).exists():
            return
        open_style = Style.objects.filter(pk=style.pk, retired_at=None)
        if open_style.update(retired_at=Now(), test_prompts=""):
            sharing.end_all_shares(style)


def _take_steps(erasure: Erasure) -> None:
    if note := _withdraw_and_drain(erasure):
        _record_wait(erasure, note)
        return
    if erasure.storage_gone_at is None or erasure.finished_at:
        _empty_storage(erasure)
    if erasure.storage_gone_at and not erasure.engines.filter(copy_gone_at=None).exists():
        _finish_with_texts(erasure)


def _withdraw_and_drain(erasure: Erasure) -> Message:
    """Mark what is done of the first two steps; return what they wait for. Raises redis.RedisError."""
    if erasure.withdrawn_at is None:
        if _is_routed(erasure.version):
            return ErasureNote.ROUTED()
        _mark_step(erasure, "withdrawn_at")
    if erasure.drained_at is None:
        if note := _reason_in_flight(erasure.version):
            return note
        _record_engines(erasure)  # again: a planner may have placed it elsewhere while it was being retired
        _mark_step(erasure, "drained_at")
    return Message()


def _empty_storage(erasure: Erasure) -> None:
    """Delete a version's files from the storage, and check that they are gone. Raises StorageUnavailable."""
    version = erasure.version
    with locks.only_one(f"version {version.pk}") as mine:  # a worker that seals the version would write them
        if not mine:
            return
        object_store.erase(version.pk)
        left = object_store.remaining(version.pk, {*version.files, *LIMITS_BYTES})
    if left:
        _record_wait(erasure, ErasureNote.STILL_STORED(left=", ".join(left)))
    else:
        AdapterVersion.objects.filter(pk=version.pk).update(stored_bytes=0)
        Erasure.objects.filter(pk=erasure.pk).update(storage_gone_at=Now(), note=Message())
        erasure.refresh_from_db()


def _finish_with_texts(erasure: Erasure) -> None:
    """Finish once the texts are gone, too, that the version was trained on: `training` erases them."""
    erasure.version.refresh_from_db(fields=["provenance"])
    if erasure.version.has_texts:
        _record_wait(erasure, ErasureNote.TEXTS_KEPT())
    else:
        _finish_erasure(erasure)


def _finish_erasure(erasure: Erasure) -> None:
    with transaction.atomic():
        Probe.objects.filter(version=erasure.version_id).delete()
        Evaluation.objects.filter(version=erasure.version_id).delete()
        AdapterVersion.objects.filter(pk=erasure.version_id, files_gone_at=None).update(
            files_gone_at=Now(),
            rank=None,
            alpha=None,
            target_modules=[],
            findings=[],
            failure=Message(),
            stated_quantisation="",
        )
        if _mark_step(erasure, "finished_at"):
            record_event(erasure.version.style.owner_id, EventType.ERASURE_COMPLETED, erasure)


def _mark_step(erasure: Erasure, step: str) -> bool:
    """Note that a step is done; return False if that was noted before."""
    is_new = Erasure.objects.filter(pk=erasure.pk, **{step: None}).update(**{step: Now()}, note=Message())
    erasure.refresh_from_db(fields=[step, "note"])
    return bool(is_new)


def _record_wait(erasure: Erasure, note: Message) -> None:
    Erasure.objects.filter(pk=erasure.pk).exclude(note=note).update(note=note)


# Erase the styles of a deleted workspace, some at a time. It goes on after any restart.

BATCH_SIZE = 20  # styles at once of one workspace: the sweep comes again in seconds
SHOWN = 200


@dataclass(frozen=True)
class StylesErasure:
    """How far the styles of a workspace are erased. A style waits until that of its versions begins."""

    waiting_styles: int
    done_count: int
    total_count: int
    erasures: Sequence[Erasure]  # the unfinished ones first, SHOWN at most


def erase_some_styles(tenant: Tenant) -> bool:
    """Begin to erase the next styles of a workspace; return whether all of them are erased."""
    Selection.objects.filter(tenant=tenant).delete()
    Share.objects.filter(tenant=tenant).delete()
    for style in _open_styles(tenant).order_by("pk")[:BATCH_SIZE]:
        erase_style(style, None, at_once=True)
    is_open = _open_styles(tenant).exists()
    return not is_open and not _erasures(tenant).filter(finished_at=None).exists()


def describe_styles_erasure(tenant: Tenant) -> StylesErasure:
    """Return how far the erasure of a workspace's styles is."""
    erasures = _erasures(tenant)
    total = erasures.count()
    return StylesErasure(
        waiting_styles=_open_styles(tenant).count(),
        done_count=total - erasures.filter(finished_at=None).count(),
        total_count=total,
        erasures=list(erasures.order_by("finished_at", "-requested_at")[:SHOWN]),
    )


def report_styles_erasure(tenant: Tenant) -> dict[str, Any]:
    """Return every version's proof for JSON, and what stays of a version."""
    reports = erasure_reports(list(_erasures(tenant).order_by("requested_at")))
    return {"stays": STAYS, "versions": [report.data() for report in reports]}


def _open_styles(tenant: Tenant) -> QuerySet[Style]:
    """Return the styles whose erasure has not begun."""
    return Style.objects.filter(owner=tenant, retired_at=None)


def _erasures(tenant: Tenant) -> QuerySet[Erasure]:
    return Erasure.objects.filter(version__style__owner=tenant).select_related("version__style__owner")


# What the data plane still does with a version: the routes that name it, the requests in flight on it.


class InFlightNote(MessageCode):
    """Why requests may still be in flight on a version."""

    RECOVERING = _("Valkey lost its data. The gateways are restoring the list of requests in flight.")
    ONE_REQUEST = _("1 request is still using it.")
    REQUESTS = _("{count} requests are still using it.")


# redis-py types each answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any


def _is_routed(version: AdapterVersion) -> bool:
    """Return whether a published route leads to a version. Raises redis.RedisError."""
    if Style.objects.stale().filter(pk=version.style_id).exists():
        return True
    client: Store = valkey.client()
    if client.hexists(valkey.route_versions_key(), str(version.pk)):
        return True
    row = client.hget(valkey.route_styles_key(), version.style.model_name)
    return str(version.pk) in (row or "")


def _reason_in_flight(version: AdapterVersion) -> Message:
    """Return why requests may be in flight on a version, or nothing. Raises redis.RedisError.

    Every admitted request has a hold that names its version, from before it reaches an engine until it is
    settled; the sweeper settles one whose gateway died when its lease ends. Only after a flush are holds
    missing, until every gateway has put its own back: the epoch says whether that is so.
    """
    client: Store = valkey.client()
    if not _is_recovered(client):
        return InFlightNote.RECOVERING()
    count = valkey.read_open_holds(client, "version").count(str(version.pk))
    if not _is_recovered(client):  # it was emptied while we read
        return InFlightNote.RECOVERING()
    if count == 0:
        return Message()
    return InFlightNote.ONE_REQUEST() if count == 1 else InFlightNote.REQUESTS(count=count)


def _is_recovered(client: Store) -> bool:
    """Return whether every gateway has put its holds back since Valkey was emptied last."""
    return bool(client.get(valkey.epoch_key()) == "whole")
