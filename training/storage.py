"""A training's files in the storage: posted files, texts, examples, and the checkpoint.

All keys of a training begin with `trainings/<id>/`, so that one call erases them. A presigned form can only
write the posted file of one document.
"""

from pathlib import Path
from uuid import UUID

from adapters import object_store
from adapters.object_store import Upload
from training.models import Document

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
    object_store.erase_key(_posted_key(document))


def discard_document(document: Document) -> None:
    """Delete a document's files. Raises StorageUnavailable."""
    object_store.erase_key(_posted_key(document))
    object_store.erase_key(_text_key(document))


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
    object_store.erase_key(f"{folder_of(training_id)}{name}")


def erase_files(training_id: UUID) -> int:
    """Delete all files of a training; return how many. Raises StorageUnavailable."""
    return object_store.erase_folder(folder_of(training_id))


def _posted_key(document: Document) -> str:
    return f"{folder_of(document.training_id)}posted/{document.pk}"


def _text_key(document: Document) -> str:
    return f"{folder_of(document.training_id)}texts/{document.pk}"
