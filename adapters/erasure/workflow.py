"""Erasing: a version's files go from everywhere, step by step, each with its proof.

withdrawn (no route leads to it) → drained (no request is in flight on it) → gone from the storage and from
beside each engine (see engine_purge.py) → finished. The row of the version stays: the ledger names it.

Rows are the queue: every step looks again at what is, writes down what it waits for, and may be repeated.
"""

from datetime import timedelta
from functools import partial
from uuid import UUID

import redis
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from adapters import enqueue, object_store
from adapters.catalog import sharing
from adapters.errors import StillUsed
from adapters.models import AdapterVersion, Engine, EngineErasure, Erasure, Probe, Status, Style
from adapters.placement import transitions
from adapters.quality import samples
from adapters.routing import in_flight
from adapters.uploads import sessions
from adapters.validation.limits import ARCHIVE_LIMIT, LIMITS_BYTES
from foundation import locks
from foundation.errors import Unavailable
from tenants.public import User

# Whoever still has a form for uploading can post with it that long: the storage is emptied once more then.
FORM_LASTS = timedelta(seconds=object_store.form_valid_s(ARCHIVE_LIMIT) + 300)

ROUTED = "A workspace's routes still name it; they are published again within seconds."
SILENT = "Valkey does not answer; this goes on by itself when it is back."


def erase_version(version: AdapterVersion, by: User | None, *, at_once: bool = False) -> Erasure:
    """Retire a version and begin to erase its files; return the erasure. Beginning it twice does nothing.

    Raises StillUsed when other workspaces would lose the style by it, unless they are to lose it at once.
    """
    _require_unused(version, at_once=at_once)
    erasure = _begin(version, by)
    _close(version.style)
    return erasure


def erase_style(style: Style, by: User | None, *, at_once: bool = False) -> None:
    """Erase all versions of a style and take it out of every list; its usage stays in the ledger.

    Raises StillUsed when other workspaces have it, unless they are to lose it at once.
    """
    if not at_once and (others := sharing.audience(style)):
        raise StillUsed(count=others)
    while not _close(style):  # a version may be begun at the same moment
        for version in style.versions.filter(erasure=None).select_related("style__owner"):
            _begin(version, by)


def retire_unused(version: AdapterVersion, *, at_once: bool = False) -> None:
    """End a version whose files stay. Raises StillUsed as `erase` does."""
    _require_unused(version, at_once=at_once)
    transitions.retire_version(version)


def count_other_users(version: AdapterVersion) -> int:
    """Return how many other workspaces lose the style with a version: none while another one serves."""
    serves = version.style.versions.filter(status=Status.SERVING)
    if version.style.is_reviewed:  # others have approved ones only
        serves = serves.exclude(approved_at=None)
        if version.approved_at is None:
            return 0
    if version.status != Status.SERVING or serves.exclude(pk=version.pk).exists():
        return 0
    return sharing.audience(version.style)


def unfinished_erasures() -> QuerySet[Erasure]:
    """Return the erasures that have a step left besides those beside engines, oldest first."""
    now = timezone.now()
    elsewhere = Exists(EngineErasure.objects.filter(erasure=OuterRef("pk"), copy_gone_at=None))
    open_ = Q(storage_gone_at=None) | Q(finished_at=None) & ~elsewhere
    form_ends = F("version__created_at") + FORM_LASTS
    late = Q(version__created_at__lt=now - FORM_LASTS, storage_gone_at__lt=form_ends)
    return Erasure.objects.filter(open_ | late).order_by("requested_at")


def advance_erasure(erasure: Erasure) -> list[Engine]:
    """Take every step that can be taken here; return the engines beside which it goes on."""
    with locks.only_one(f"erasure {erasure.pk}") as mine:
        if mine:
            try:
                _advance(erasure)
            except Unavailable as error:
                _wait(erasure, error.message)
            except redis.RedisError:
                _wait(erasure, SILENT)
    if erasure.drained_at is None:
        return []
    left = erasure.engines.filter(unregistered_at=None).values("engine")
    return list(Engine.objects.filter(name__in=left, is_gone=False))


def _require_unused(version: AdapterVersion, *, at_once: bool) -> None:
    if not at_once and (others := count_other_users(version)):
        raise StillUsed(count=others)


def _begin(version: AdapterVersion, by: User | None) -> Erasure:
    with transaction.atomic():
        transitions.retire_version(version)
        erasure, is_new = Erasure.objects.get_or_create(version=version, defaults={"requested_by": by})
        if is_new:
            AdapterVersion.objects.filter(pk=version.pk).update(conversions=[])  # nothing is left to convert
            _rewrite_sample(version.style_id)
            _note_engines(erasure)
            transaction.on_commit(partial(enqueue.enqueue, enqueue.ERASE, str(erasure.pk)), robust=True)
    return erasure


def _rewrite_sample(style_id: UUID) -> None:
    """Let a style's sample be what its live version answered: it may be another's, which is erased."""
    style = Style.objects.select_related("live_version").get(pk=style_id)
    Style.objects.filter(pk=style_id).update(
        sample=samples.sample_line_of(style.live_version, style.sample_prompt)
    )


def _note_engines(erasure: Erasure) -> None:
    """Write down where the version may be: wherever it was ever wanted."""
    names = erasure.version.placements.values_list("engine__name", flat=True)
    rows = [EngineErasure(erasure=erasure, engine=name) for name in names]
    EngineErasure.objects.bulk_create(rows, ignore_conflicts=True)


def _close(style: Style) -> bool:
    """Take a style without any file out of every list, and end what others were allowed.

    Returns False, and does nothing, while a version of it is not being erased.
    """
    with transaction.atomic():
        locks.one_at_a_time(sessions.lock_of(style.owner_id))
        if style.versions.filter(erasure=None).exists():
            return False
        Style.objects.filter(pk=style.pk).update(retired_at=Now(), test_prompts="")
        sharing.end_all_shares(style)
    return True


def _advance(erasure: Erasure) -> None:
    if erasure.withdrawn_at is None:
        if in_flight.is_routed(erasure.version):
            return _wait(erasure, ROUTED)
        _reached(erasure, "withdrawn_at")
    if erasure.drained_at is None:
        if note := in_flight.reason_in_flight(erasure.version):
            return _wait(erasure, note)
        _note_engines(erasure)  # it may have been wanted on another one in the moment when it was retired
        _reached(erasure, "drained_at")
    if erasure.storage_gone_at is None or erasure.finished_at:
        _empty_storage(erasure)
    if erasure.storage_gone_at and not erasure.engines.filter(copy_gone_at=None).exists():
        _finish(erasure)
    return None


def _empty_storage(erasure: Erasure) -> None:
    """Delete what the storage has of a version, and ask it whether it is gone. Raises StorageUnavailable."""
    version = erasure.version
    with locks.only_one(f"version {version.pk}") as mine:  # not while a worker seals it
        if not mine:
            return
        object_store.erase(version.pk)
        left = object_store.remaining(version.pk, {*version.files, *LIMITS_BYTES})
    if left:
        _wait(erasure, f"The storage still has {', '.join(left)}.")
    else:
        AdapterVersion.objects.filter(pk=version.pk).update(stored_bytes=0)
        Erasure.objects.filter(pk=erasure.pk).update(storage_gone_at=Now(), note="")
        erasure.refresh_from_db()


def _finish(erasure: Erasure) -> None:
    with transaction.atomic():
        Probe.objects.filter(version=erasure.version_id).delete()
        AdapterVersion.objects.filter(pk=erasure.version_id, files_gone_at=None).update(
            files_gone_at=Now(),
            rank=None,
            alpha=None,
            target_modules=[],
            findings=[],
            failure="",
            stated_quantisation="",
        )
        _reached(erasure, "finished_at")


def _reached(erasure: Erasure, step: str) -> None:
    Erasure.objects.filter(pk=erasure.pk, **{step: None}).update(**{step: Now()}, note="")
    erasure.refresh_from_db(fields=[step, "note"])


def _wait(erasure: Erasure, note: str) -> None:
    Erasure.objects.filter(pk=erasure.pk).exclude(note=note[:300]).update(note=note[:300])
