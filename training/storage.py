"""A training's files in the storage: posted files, texts, examples, and the checkpoint.

All keys of a training begin with `trainings/<id>/`, so that one call erases them. A presigned form can only
write the posted file of one document.
"""

from pathlib import Path
from uuid import UUID

from django.db.models import Q, Sum
from django.utils import timezone

from adapters import object_store
from adapters.object_store import Upload
from adapters.public import count_holdings
from core.sizes import format_bytes
from metering.plans import limits_of
from tenants.models import Tenant
from training.errors import StorageFull
from training.models import Document, File

# What a workspace stores for trainings, held against its plan together with its versions.

POSTED = Q(status__in=[Document.Status.UPLOADING, Document.Status.UPLOADED])  # then only the text is kept


def require_room(tenant: Tenant, size_bytes: int) -> None:
    """Raise StorageFull if a workspace's plan has no room for what it is about to store.

    Call it in a transaction, before any other lock: two uploads at the same moment are counted one after the
    other.
    """
    if tenant.is_first_party:
        return
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    used_bytes = count_holdings(tenant).stored_bytes + count_stored_bytes(tenant)
    allowed_bytes = limits_of(tenant, timezone.now()).stored_bytes
    if used_bytes + size_bytes > allowed_bytes:
        raise StorageFull(
            allowed=format_bytes(allowed_bytes), used=format_bytes(used_bytes), size=format_bytes(size_bytes)
        )


def count_stored_bytes(tenant: Tenant) -> int:
    """Return how many bytes of files and documents a workspace stores; what is on its way is counted, too."""
    files = File.objects.counted().filter(tenant=tenant).aggregate(bytes=Sum("size_bytes", default=0))
    documents = Document.objects.filter(training__tenant=tenant).aggregate(
        posted=Sum("size_bytes", filter=POSTED, default=0), texts=Sum("text_bytes", default=0)
    )
    return int(files["bytes"] + documents["posted"] + documents["texts"])


PREFIX = "trainings/"
LEARN, VALIDATE = "learn.jsonl", "validate.jsonl"
CANARIES = "canaries.json"
BRIEFS = "briefs.jsonl"  # of held-out passages: the style answers them when it is evaluated
CHECKPOINT = "checkpoint.tar"


def folder_of(training_id: UUID) -> str:
    """Return the prefix of the keys of a training."""
    return f"{PREFIX}{training_id}/"


def presign_document(document: Document) -> Upload:
    """Return a POST form for one document's file, of exactly its announced size."""
    return object_store.presign_post(_posted_key(document), document.name, document.size_bytes)


def is_posted(document: Document) -> bool:
    """Return whether a document's file has arrived completely. Raises StorageUnavailable."""
    return object_store.stored_bytes(_posted_key(document)) == document.size_bytes


def write_posted(document: Document, content: bytes) -> None:
    """Store a file that was pasted or sent through this service. Raises StorageUnavailable."""
    object_store.write_object(_posted_key(document), [content])


def read_posted(document: Document) -> bytes:
    """Return a document's posted file. Raises StorageUnavailable, NotStored."""
    return b"".join(object_store.read_object(_posted_key(document)))


def write_text(document: Document, text: str) -> None:
    """Store a document's text. Raises StorageUnavailable."""
    object_store.write_object(_text_key(document), [text.encode()])


def read_text(document: Document) -> str:
    """Return a document's text. Raises StorageUnavailable, NotStored."""
    return b"".join(object_store.read_object(_text_key(document))).decode()


def discard_posted(document: Document) -> None:
    """Delete a document's posted file. Raises StorageUnavailable."""
    object_store.delete_keys([_posted_key(document)])


def discard_document(document: Document) -> None:
    """Delete a document's files. Raises StorageUnavailable."""
    object_store.delete_keys([_posted_key(document), _text_key(document)])


def write_file(training_id: UUID, name: str, content: bytes) -> None:
    """Store one file of a training, such as its examples. Raises StorageUnavailable."""
    object_store.write_object(f"{folder_of(training_id)}{name}", [content])


def read_file(training_id: UUID, name: str) -> bytes:
    """Return one file of a training. Raises StorageUnavailable, NotStored."""
    return b"".join(object_store.read_object(f"{folder_of(training_id)}{name}"))


def put_file(training_id: UUID, name: str, file: Path) -> None:
    """Store a local file of a training, or replace it. Raises StorageUnavailable."""
    object_store.put_object(f"{folder_of(training_id)}{name}", file)


def discard_file(training_id: UUID, name: str) -> None:
    """Delete one file of a training. Raises StorageUnavailable."""
    object_store.delete_keys([f"{folder_of(training_id)}{name}"])


def erase_files(training_id: UUID) -> int:
    """Delete all files of a training; return how many. Raises StorageUnavailable."""
    return object_store.erase_folder(folder_of(training_id))


def _posted_key(document: Document) -> str:
    return f"{folder_of(document.training_id)}posted/{document.pk}"


def _text_key(document: Document) -> str:
    return f"{folder_of(document.training_id)}texts/{document.pk}"
