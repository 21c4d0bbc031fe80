"""Files in the storage: written as their bytes come, counted against the plan, deleted, expired.

A row is made before the first byte is stored, so that no content is ever without one.
"""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from adapters import object_store
from adapters.errors import StorageUnavailable
from core.sizes import MIB
from tenants.access import Access
from tenants.models import Tenant
from training import storage
from training.errors import FileInUse, FileTooLarge
from training.models import File, Status, Training

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 200 * MIB
UNFINISHED_KEPT = timedelta(hours=2)  # the longest time that a body may take, and more
BATCH_SIZE = 100  # files a pass


def begin_file(tenant: Tenant, *, name: str, size_bytes: int) -> File:
    """Return the row of a file whose content follows. Raises FileTooLarge, StorageFull.

    `size_bytes` is at least what is expected; the plan's storage counts it until the content has arrived.
    """
    if size_bytes > MAX_FILE_BYTES:
        raise FileTooLarge(limit=MAX_FILE_BYTES // MIB)
    with transaction.atomic():
        storage.require_room(tenant, size_bytes)
        purpose = File.Purpose.FINE_TUNE
        return File.objects.create(tenant=tenant, purpose=purpose, name=name[:200], size_bytes=size_bytes)


def write_content(file: File, chunks: Iterable[bytes]) -> int:
    """Store a file's content, and return its size in bytes.

    No more than one part of it is in memory. Whatever is raised, nothing stays in the storage. Raises
    FileTooLarge, StorageUnavailable, and what `chunks` raises.
    """
    counted = _CountedChunks(chunks, limit_bytes=file.size_bytes)
    object_store.write_object(key_of(file.pk), counted)
    return counted.size_bytes


def write_new_file(file: File, chunks: Iterable[bytes]) -> int:
    """Store the content that a client sends; return its bytes. Whatever is raised, the file is gone then.

    No transaction: it takes as long as the client sends. Raises what `write_content` does.
    """
    try:
        return write_content(file, chunks)
    except BaseException:
        # Its content was not stored, or not whole: so there is nothing to erase.
        file.delete()
        raise


def finish_file(file: File, *, size_bytes: int, expires_after_s: int | None = None) -> None:
    """Let a file be used whose content is stored, until it expires."""
    file.size_bytes = size_bytes
    file.arrived_at = timezone.now()
    if expires_after_s is not None:
        file.expires_at = file.created_at + timedelta(seconds=expires_after_s)
    File.objects.filter(pk=file.pk).update(
        size_bytes=size_bytes, arrived_at=file.arrived_at, expires_at=file.expires_at
    )


@transaction.atomic
def finish_upload(access: Access, file: File, *, size_bytes: int, expires_after_s: int | None) -> None:
    """Let a program's file be used, until it expires."""
    finish_file(file, size_bytes=size_bytes, expires_after_s=expires_after_s)
    access.audit("file.uploaded", file, after={"bytes": size_bytes})


def read_content(file: File) -> Iterator[bytes]:
    """Yield a file's content. Raises StorageUnavailable, NotStored."""
    return object_store.read_object(key_of(file.pk))


def delete_file(access: Access, file: File) -> None:
    """Delete a file for good. Safe to repeat. Raises FileInUse, StorageUnavailable.

    No transaction: it waits for the storage.
    """
    unread = [Status.DRAFT, Status.PREPARING]
    readers = Training.objects.filter(Q(training_file=file) | Q(validation_file=file), status__in=unread)
    if readers.exists():
        raise FileInUse
    discard_file(file)
    access.audit("file.deleted", file)


def discard_file(file: File) -> None:
    """Delete a file's content, and its row once no job names it. Raises StorageUnavailable."""
    object_store.delete_keys([key_of(file.pk)])
    File.objects.filter(pk=file.pk, deleted_at=None).update(deleted_at=timezone.now())
    _forget_rows([file.pk])


def prune_files(now: datetime) -> int:
    """Delete expired and unfinished files, and deleted workspaces' files, some at a time.

    Return how many rows. Safe to repeat.
    """
    unfinished = Q(arrived_at=None, created_at__lt=now - UNFINISHED_KEPT)
    unwanted = Q(expires_at__lt=now) | Q(tenant__deleted_at__isnull=False) | unfinished
    try:
        for file in File.objects.counted().filter(unwanted).order_by("created_at")[:BATCH_SIZE]:
            discard_file(file)
    except StorageUnavailable as error:
        logger.info("files are deleted later: %s", error)
    unnamed = File.objects.filter(deleted_at__isnull=False, learned_by=None, validated_by=None)
    return _forget_rows(list(unnamed.values_list("pk", flat=True)[:BATCH_SIZE]))


def key_of(file_id: UUID) -> str:
    """Return the key of a file's content."""
    return f"files/{file_id}"


class _CountedChunks:
    """Chunks with their number of bytes. Raises FileTooLarge beyond a limit, while they are read."""

    def __init__(self, chunks: Iterable[bytes], *, limit_bytes: int) -> None:
        self._chunks = chunks
        self._limit_bytes = limit_bytes
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.size_bytes += len(chunk)
            if self.size_bytes > self._limit_bytes:
                raise FileTooLarge(limit=MAX_FILE_BYTES // MIB)
            yield chunk


def _forget_rows(file_ids: list[UUID]) -> int:
    unnamed = File.objects.filter(pk__in=file_ids, learned_by=None, validated_by=None)
    return unnamed.exclude(deleted_at=None).delete()[0]
