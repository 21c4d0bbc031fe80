"""Pruning: what lies in the storage without need goes, bounded a pass.

A form for uploading can't be called back, a worker may be killed between a row and its files, and the storage
may be down when files are to go. So the bucket is compared with the rows:

- what was posted goes, unless its version is still being uploaded or checked: what serves is the sealed copy;
- what is sealed goes where the row says that nothing is kept;
- what has had no row for a week goes, too, but not where most have none: that is another database.

A version that was served keeps its files until `erasing` has drained it: engines read them again, and Ray
clusters pull them from here.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db.models import Q
from django.utils import timezone

from adapters import object_store
from adapters.models import AdapterVersion, BaseModel, Status
from foundation import locks

logger = logging.getLogger(__name__)

FILES_A_PASS = 1000  # looked at, of what was posted and of what is sealed
UNKNOWN_KEPT_FOR = timedelta(days=7)  # as long a lost row may come back with a backup
PARTS_KEPT_FOR = timedelta(days=1)
WRONG_DATABASE = (
    "%d of %d versions in the bucket have no row here: is this the database that belongs to it? "
    "Nothing of them is deleted."
)


def prune_storage() -> int:
    """Delete what is not needed, of some versions; return how many files. Raises StorageUnavailable."""
    with locks.only_one("pruning the storage") as mine:
        if not mine:
            return 0
        if not object_store.keep_rules():
            logger.info("The storage takes no lifecycle rules; leftovers go by this pruner alone.")
        object_store.abort_old_parts(timezone.now() - PARTS_KEPT_FOR, limit=FILES_A_PASS)
        start = str(uuid4())  # however many there are, each has its turn
        return sum(_prune(prefix, start) for prefix in (object_store.POSTED, object_store.SEALED))


def _prune(prefix: str, start: str) -> int:
    lying = object_store.versions(prefix, start=start, limit=FILES_A_PASS)
    rows = AdapterVersion.objects.filter(pk__in=list(lying))
    known = set(rows.values_list("pk", flat=True))
    needed = set(rows.filter(_is_needed(prefix)).values_list("pk", flat=True))
    unknown = {pk: at for pk, at in lying.items() if pk not in known | _identities()}
    left = (known - needed) | _lost(unknown, known=len(known))
    return sum(object_store.discard_all(prefix, version_id) for version_id in left)


def _is_needed(prefix: str) -> Q:
    """Return the condition that what lies under a prefix for a version is needed."""
    kept = Q(status=Status.REJECTED, stored_bytes__gt=0)
    if prefix == object_store.SEALED:
        return kept | Q(files_gone_at=None) & ~Q(status=Status.REJECTED)
    looked_at = kept & Q(conversions=[])  # a check that broke off: see steps.py
    return looked_at | Q(status__in=[Status.UPLOADING, Status.UPLOADED])


def _identities() -> set[UUID]:
    """Return what lies among the sealed versions for Ray clusters, and is none."""
    return {base_model.identity_id for base_model in BaseModel.objects.only("name")}


def _lost(unknown: dict[UUID, datetime], *, known: int) -> set[UUID]:
    """Return those of the versions without a row that have lain there for long."""
    if len(unknown) > known:
        logger.error(WRONG_DATABASE, len(unknown), len(unknown) + known)
        return set()
    before = timezone.now() - UNKNOWN_KEPT_FOR
    return {version_id for version_id, written_at in unknown.items() if written_at < before}
