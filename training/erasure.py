"""Erasure of texts: a month after a training, with old drafts, on request, with the style trained from them,
and with the workspace."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from adapters import object_store
from adapters.errors import StorageUnavailable
from adapters.models import AdapterVersion, Evaluation
from tenants.models import Tenant
from training import results, storage
from training.errors import TrainingMoved
from training.models import ENDED, OPEN, Document, Status, Training

logger = logging.getLogger(__name__)

DOCUMENTS_KEPT = timedelta(days=30)
DRAFTS_KEPT = timedelta(days=30)
TRAININGS_KEPT = timedelta(days=400)
PAUSES_KEPT = timedelta(days=30)
UNKNOWN_KEPT = timedelta(days=7)  # until then, a backup may restore a lost row
BATCH_SIZE = 50  # trainings per pass
FILES_PER_PASS = 1000
WRONG_DATABASE = (
    "%d of %d trainings in the bucket have no row here: is this the database that belongs to it? "
    "Nothing of them is deleted."
)


@dataclass(frozen=True)
class TextsErasure:
    """What is erased for one training: its documents, examples and checkpoints, all below one prefix."""

    training: str
    style: str
    prefix: str  # in the bucket
    erased: tuple[str, ...]
    erased_at: datetime | None


def erase_documents(training: Training) -> int:
    """Delete all texts, examples and checkpoints of a training that has ended; return how many files.

    Safe to repeat. Raises TrainingMoved, StorageUnavailable.
    """
    if not training.is_ended:
        raise TrainingMoved
    erased = storage.erase_files(training.pk)
    with transaction.atomic():
        Document.objects.filter(training=training).delete()
        _clear_evaluations(training)
        now = timezone.now()
        Training.objects.filter(pk=training.pk, documents_gone_at=None).update(documents_gone_at=now)
        _record_on_version(training.version_id, now)
    return erased


def delete_training(training: Training) -> None:
    """Delete a training that never started or has ended, with all its files.

    Raises TrainingMoved, StorageUnavailable.
    """
    if training.is_started:
        raise TrainingMoved
    storage.erase_files(training.pk)
    with transaction.atomic():
        _record_on_version(training.version_id, timezone.now())
        _clear_evaluations(training)
        training.delete()


def _clear_evaluations(training: Training) -> None:
    """Delete the texts in a training's evaluations: the last one names it, earlier ones name no training."""
    version_id = training.evaluated_version_id or training.version_id
    evaluations = Evaluation.objects.filter(version=version_id)
    evaluations.filter(Q(training=training) | Q(training=None)).update(samples=[], passages=[])


def list_texts_erasures(tenant: Tenant) -> list[TextsErasure]:
    """Return the state of the erasure of each training of a workspace, oldest first."""
    return [
        TextsErasure(
            training=str(training.pk),
            style=training.slug,
            prefix=storage.folder_of(training.pk),
            erased=("documents", "examples", "checkpoints"),
            erased_at=training.documents_gone_at,
        )
        for training in Training.objects.filter(tenant=tenant).order_by("created_at", "pk")
    ]


def to_erase() -> QuerySet[Training]:
    """Return trainings whose texts must go now: of deleted workspaces, and of erased styles and versions."""
    of_workspace = Q(tenant__deleted_at__isnull=False)
    of_version = Q(version__erasure__isnull=False) | Q(evaluated_version__erasure__isnull=False)
    # One in progress continues: its version creates the style again.
    of_style = Q(style__retired_at__isnull=False, status__in=ENDED)
    found = Training.objects.filter(of_workspace | of_version | of_style, documents_gone_at=None)
    return found.order_by("created_at")


def erase_texts() -> None:
    """Delete the texts that must go now, some at a time. Safe to repeat."""
    try:
        for training in to_erase()[:BATCH_SIZE]:
            _erase(training)
    except StorageUnavailable as error:
        logger.info("texts of trainings are deleted later: %s", error)


def prune_trainings(now: datetime) -> int:
    """Delete what is no longer kept, some at a time; return of how many trainings. Safe to repeat."""
    erase_texts()
    pruned = 0
    try:
        _release_versions()
        for training in _with_old_documents(now)[:BATCH_SIZE]:
            erase_documents(training)
            pruned += 1
        for training in Training.objects.filter(status=Status.PAUSED, changed_at__lt=now - PAUSES_KEPT):
            results.cancel_training(training)  # its hold must not last forever
        for training in _old_rows(now)[:BATCH_SIZE]:
            delete_training(training)
            pruned += 1
        _erase_leftovers(now)
    except StorageUnavailable as error:
        logger.info("texts of trainings are deleted later: %s", error)
    return pruned


def _erase(training: Training) -> None:
    """End a training and delete its texts; those of a running one are deleted after its current step."""
    with suppress(TrainingMoved):  # it is about to become a version, which is erased then
        if not training.is_ended:
            results.cancel_training(training)
        erase_documents(training)


def _record_on_version(version_id: UUID | None, now: datetime) -> None:
    """Record on a version that the texts it was trained on are gone: its own erasure waits for that."""
    if version_id is None:
        return
    version = AdapterVersion.objects.filter(pk=version_id).select_for_update(no_key=True).first()
    if version and version.has_texts:
        provenance = {**version.provenance, "texts_erased_at": now.isoformat()}
        AdapterVersion.objects.filter(pk=version.pk).update(provenance=provenance)


def _release_versions() -> None:
    """Erase the texts of versions whose training no longer has a row, so that their erasure can finish."""
    waiting = AdapterVersion.objects.with_texts().filter(erasure__isnull=False, training=None)
    for version in waiting[:BATCH_SIZE]:
        training_id = UUID(version.provenance["training"])
        if not Training.objects.filter(pk=training_id).exists():
            storage.erase_files(training_id)
            _record_on_version(version.pk, timezone.now())


def _with_old_documents(now: datetime) -> QuerySet[Training]:
    ended = Training.objects.filter(
        status__in=ENDED, keeps_documents=False, documents_gone_at=None, ended_at__lt=now - DOCUMENTS_KEPT
    )
    return ended.order_by("ended_at")


def _old_rows(now: datetime) -> QuerySet[Training]:
    old_drafts = Q(status__in=OPEN, changed_at__lt=now - DRAFTS_KEPT)
    old = Q(status__in=ENDED, documents_gone_at__isnull=False, ended_at__lt=now - TRAININGS_KEPT)
    return Training.objects.filter(old_drafts | old).order_by("changed_at")


def _erase_leftovers(now: datetime) -> None:
    """Delete files without a row, of some trainings.

    A form signed before an erasure can still be used after it, and a worker may be killed between deleting a
    row and its files.
    """
    start = str(uuid4())  # a random start, so that over time every training is checked
    written_at = object_store.versions(storage.PREFIX, start=start, limit=FILES_PER_PASS)
    known = dict(Training.objects.filter(pk__in=list(written_at)).values_list("pk", "documents_gone_at"))
    unknown = written_at.keys() - known.keys()
    if len(unknown) > len(known):
        logger.error(WRONG_DATABASE, len(unknown), len(written_at))
        unknown = set()
    posted_late = {training_id for training_id, gone_at in known.items() if gone_at}
    before = now - UNKNOWN_KEPT
    old = {training_id for training_id in unknown if written_at[training_id] < before}
    for training_id in posted_late | old:
        storage.erase_files(training_id)
