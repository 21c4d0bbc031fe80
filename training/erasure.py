"""Erasure of texts: a month after a training, of old drafts, on request, and with the workspace."""

import logging
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from adapters.errors import StorageUnavailable
from tenants.models import Tenant
from training import endings, storage
from training.errors import TrainingMoved
from training.models import Document, Status, Training
from training.models.trainings import ENDED, OPEN

logger = logging.getLogger(__name__)

DOCUMENTS_KEPT = timedelta(days=30)
DRAFTS_KEPT = timedelta(days=30)
TRAININGS_KEPT = timedelta(days=400)
PAUSES_KEPT = timedelta(days=30)
BATCH_SIZE = 50  # trainings a pass


def erase_documents(training: Training) -> int:
    """Delete all texts, examples and checkpoints of a training that has ended; return how many files.

    Safe to repeat. Raises TrainingMoved, StorageUnavailable.
    """
    if not training.is_ended:
        raise TrainingMoved
    erased = storage.erase_files(training.pk)
    Document.objects.filter(training=training).delete()
    Training.objects.filter(pk=training.pk, documents_gone_at=None).update(documents_gone_at=timezone.now())
    return erased


def delete_training(training: Training) -> None:
    """Delete a training that never started or has ended, with all its files.

    Raises TrainingMoved, StorageUnavailable.
    """
    if training.is_started:
        raise TrainingMoved
    storage.erase_files(training.pk)
    training.delete()


def prune(now: datetime) -> None:
    """Delete what is no longer kept, some at a time. Safe to repeat."""
    try:
        _erase_deleted_workspaces()
        for training in _with_old_documents(now)[:BATCH_SIZE]:
            erase_documents(training)
        for training in Training.objects.filter(status=Status.PAUSED, changed_at__lt=now - PAUSES_KEPT):
            endings.cancel_training(training)  # what it holds must not be held for ever
        for training in _old_rows(now)[:BATCH_SIZE]:
            delete_training(training)
    except StorageUnavailable as error:
        logger.info("texts of trainings are deleted later: %s", error)


def _with_old_documents(now: datetime) -> "list[Training]":
    ended = Training.objects.filter(
        status__in=ENDED, keeps_documents=False, documents_gone_at=None, ended_at__lt=now - DOCUMENTS_KEPT
    )
    return list(ended.order_by("ended_at"))


def _old_rows(now: datetime) -> "list[Training]":
    old_drafts = Q(status__in=OPEN, changed_at__lt=now - DRAFTS_KEPT)
    old = Q(status__in=ENDED, documents_gone_at__isnull=False, ended_at__lt=now - TRAININGS_KEPT)
    return list(Training.objects.filter(old_drafts | old).order_by("changed_at"))


def _erase_deleted_workspaces() -> None:
    deleted = Tenant.objects.exclude(deleted_at=None).filter(trainings__isnull=False).distinct()
    for tenant in deleted[:BATCH_SIZE]:
        for training in Training.objects.filter(tenant=tenant)[:BATCH_SIZE]:
            if training.is_started:
                endings.cancel_training(training)
            else:
                delete_training(training)
