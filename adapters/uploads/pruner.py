"""Prune the storage: delete files that no version needs, a bounded number of files in a pass.

A presigned form can't be called back, a worker may be killed between a row and its files, and the storage
may be down when files are to be deleted. So each pass compares the bucket with the rows, and deletes

- parts of uploads that have ended, or of which far more was sent than was announced;
- posted files, unless their version is still being uploaded or checked: the sealed copy is what serves;
- sealed files of versions whose row says that nothing is kept;
- files that have had no row for a week, unless most have none: then this is another database.

A version that has served keeps its files until `erasure` has drained it: engines read them again, and Ray
clusters pull them from the storage.
"""

import logging
from datetime import datetime, timedelta
from itertools import batched
from uuid import UUID, uuid4

from django.db.models import Q
from django.utils import timezone

from adapters import object_store
from adapters.models import AdapterVersion, Status
from adapters.object_store import OpenUpload
from adapters.uploads import parts, sessions
from core import locks

logger = logging.getLogger(__name__)

FILES_PER_PASS = 1000  # of the posted and of the sealed ones
ROWS_PER_QUERY = 1000
UNKNOWN_KEPT_FOR = timedelta(days=7)  # within it, a backup may bring a lost row back
PARTS_KEPT_FOR = timedelta(days=1)
CONVERSIONS_OFFERED_FOR = timedelta(days=7)  # the files of the rejected version are kept as long
WRONG_DATABASE = (
    "%d of %d versions in the bucket have no row here: is this the database that belongs to it? "
    "Nothing of them is deleted."
)


def prune_storage() -> int:
    """Delete files that are not needed, of some versions; return how many. Raises StorageUnavailable."""
    with locks.only_one("pruning the storage") as mine:
        if not mine:
            return 0
        if not object_store.keep_rules():
            logger.info("The storage doesn't accept lifecycle rules; only this pruner deletes leftovers.")
        object_store.abort_old_parts(timezone.now() - PARTS_KEPT_FOR)
        _prune_parts()
        start = str(uuid4())  # a random place, so that over time each version is looked at
        return _prune_prefix(object_store.POSTED, start) + _prune_prefix(object_store.SEALED, start)


def _prune_parts() -> None:
    """Abort multipart uploads of versions that are no longer being uploaded, or that fill the storage.

    The storage keeps one more copy of a part each time that it is sent, and its URL can't be called back.
    """
    by_version: dict[UUID, list[OpenUpload]] = {}
    for upload in object_store.open_uploads():
        by_version.setdefault(upload.version_id, []).append(upload)
    for version_ids in batched(by_version, ROWS_PER_QUERY):
        for version in AdapterVersion.objects.filter(pk__in=version_ids):
            _prune_parts_of(version, by_version[version.pk])


def _prune_parts_of(version: AdapterVersion, uploads: list[OpenUpload]) -> None:
    if version.status != Status.UPLOADING:
        for upload in uploads:
            object_store.abort_parts(version.pk, upload.file, upload.upload_id)
    elif parts.is_sent_too_often(version, uploads):
        sessions.end_upload(version, sessions.SENT_TOO_OFTEN)


def _prune_prefix(prefix: str, start: str) -> int:
    written_at = object_store.versions(prefix, start=start, limit=FILES_PER_PASS)
    rows = AdapterVersion.objects.filter(pk__in=list(written_at))
    known = set(rows.values_list("pk", flat=True))
    needed = set(rows.filter(_is_needed(prefix)).values_list("pk", flat=True))
    unknown = written_at.keys() - known
    unneeded = (known - needed) | _old_unknown({pk: written_at[pk] for pk in unknown}, known=len(known))
    return sum(object_store.discard_all(prefix, version_id) for version_id in unneeded)


def _is_needed(prefix: str) -> Q:
    """Return the condition that a version's files under a prefix are needed."""
    is_kept = Q(status=Status.REJECTED, stored_bytes__gt=0)
    if prefix == object_store.SEALED:
        return is_kept | Q(files_gone_at=None) & ~Q(status=Status.REJECTED)
    is_for_support = is_kept & Q(conversions=[])  # its examination never ended
    return is_for_support | Q(status__in=[Status.UPLOADING, Status.UPLOADED])


def _old_unknown(unknown: dict[UUID, datetime], *, known: int) -> set[UUID]:
    """Return the versions without a row whose files were written long ago."""
    if len(unknown) > known:
        logger.error(WRONG_DATABASE, len(unknown), len(unknown) + known)
        return set()
    before = timezone.now() - UNKNOWN_KEPT_FOR
    return {version_id for version_id, written_at in unknown.items() if written_at < before}


def withdraw_conversions(version: AdapterVersion) -> None:
    """Withdraw the conversion of a version, and delete the files kept for it. Raises StorageUnavailable."""
    object_store.erase(version.pk)
    AdapterVersion.objects.filter(pk=version.pk).update(conversions=[], stored_bytes=0)


def withdraw_old_conversions() -> int:
    """Withdraw conversions that nobody began in time; return of how many versions.

    Files that were kept as long because their examination never ended are deleted, too. Raises
    StorageUnavailable.
    """
    before = timezone.now() - CONVERSIONS_OFFERED_FOR
    rejected = AdapterVersion.objects.filter(history__status=Status.REJECTED, history__at__lt=before)
    versions = list(rejected.filter(stored_bytes__gt=0))
    for version in versions:
        withdraw_conversions(version)
    return len(versions)
