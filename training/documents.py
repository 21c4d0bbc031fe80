"""Documents of a training: add, read in a child process, leave out, delete.

Rows are the queue of the reader: `read_next` reads one document, of the workspace whose turn it is.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from operator import itemgetter
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Sum
from django.utils import timezone

from adapters.errors import NotStored
from adapters.object_store import Upload
from core import locks, valkey
from core.errors import Unavailable
from core.messages import NO_MESSAGE, Message
from core.sizes import MIB
from training import storage
from training.errors import BadDocument, TrainingMoved
from training.models import Document, Training
from training.models import Status as TrainingStatus
from training.notes import DocumentFault, TrainingNote
from training.reading import ENDINGS, ReadDocument, ending_of, read_document
from training.reading.problems import explain

logger = logging.getLogger(__name__)

MAX_DOCUMENTS = 500
MAX_DOCUMENT_BYTES = 50 * MIB
MAX_PASTED_BYTES = 2 * MIB
MAX_TRAINING_BYTES = 200 * MIB
MAX_READINGS = 3
READER_BUDGET_S = 600  # of a workspace and hour; a novel takes a second
HOUR_S = 3600
FIRST_WORDS_CHARACTERS = 300


def add_documents(training: Training, files: Mapping[str, int]) -> list[tuple[Document, Upload]]:
    """Return a new document and a POST form for each file: name → size in bytes.

    Raises BadDocument naming the first file that can't be added, StorageFull, and TrainingMoved.
    """
    documents = _create_documents(training, files)
    return [(document, storage.presign_document(document)) for document in documents]


def add_file(training: Training, name: str, content: bytes) -> Document:
    """Store a file that was sent through this service, and return its document.

    Raises BadDocument, StorageFull, TrainingMoved, StorageUnavailable.
    """
    [document] = _create_documents(training, {name: len(content)})
    storage.write_posted(document, content)
    _mark_uploaded(document)
    return document


def encode_pasted(name: str, text: str) -> bytes:
    """Return a pasted text as the content of a file. Raises BadDocument."""
    content = text.encode(errors="replace")
    if not content.strip():
        raise BadDocument(fault=DocumentFault.EMPTY(file=name))
    if len(content) > MAX_PASTED_BYTES:
        raise BadDocument(fault=DocumentFault.PASTED_TOO_LONG(limit=MAX_PASTED_BYTES // MIB))
    return content


def finish_documents(training: Training) -> int:
    """Mark the documents that have arrived; return how many. Raises StorageUnavailable."""
    arrived = 0
    for document in training.documents.filter(status=Document.Status.UPLOADING):
        if storage.is_posted(document):
            arrived += _mark_uploaded(document)
    return arrived


def read_next() -> bool:
    """Read one document; return False if none can be read now. Safe to call from several workers at once.

    One document of a workspace is read at a time. The workspace whose documents took the least time in the
    last hour goes first; one that has used READER_BUDGET_S waits until its hour is over.
    """
    for tenant_id, used_s in _list_readers():
        if used_s >= READER_BUDGET_S:
            _note_budget(tenant_id)
            continue
        with locks.only_one(f"reading {tenant_id}") as mine:
            document = Document.objects.to_read().filter(training__tenant=tenant_id).first() if mine else None
            if document:
                return _read_noted(document, tenant_id)
    return False


def _list_readers() -> list[tuple[UUID, float]]:
    """Return the workspaces whose documents wait, and the seconds that they have used, in turn."""
    arrivals = Document.objects.to_read().values_list("training__tenant").annotate(first=Min("created_at"))
    waiting = [tenant_id for tenant_id, _ in arrivals.order_by("first")]
    if not waiting:
        return []
    used = valkey.client().mget([valkey.reader_seconds_key(tenant_id) for tenant_id in waiting])
    seconds = [float(used_s or 0) for used_s in used]
    return sorted(zip(waiting, seconds, strict=True), key=itemgetter(1))


def _note_budget(tenant_id: UUID) -> None:
    note = TrainingNote.READING_LATER(minutes=READER_BUDGET_S // 60)
    arrived = Document.objects.to_read().filter(training=OuterRef("pk"))
    for training in Training.objects.filter(Exists(arrived), tenant=tenant_id):
        training.wait(note)


def _read_noted(document: Document, tenant_id: UUID) -> bool:
    """Read a document; if that fails, the training's note says why, and it is tried again."""
    try:
        with _spent(tenant_id):
            _read(document)
    except Unavailable as error:
        document.training.wait(Message.of(error))
        return False
    except Exception:
        document.training.wait(TrainingNote.OUR_FAULT())
        raise
    document.training.wait(NO_MESSAGE)
    return True


@contextmanager
def _spent(tenant_id: UUID) -> Iterator[None]:
    """Add the seconds that something takes to those of a workspace."""
    began_at_s = time.monotonic()
    try:
        yield
    finally:
        key = valkey.reader_seconds_key(tenant_id)
        with valkey.client().pipeline() as pipeline:
            pipeline.incrbyfloat(key, time.monotonic() - began_at_s)
            pipeline.expire(key, HOUR_S, nx=True)
            pipeline.execute()


def leave_out(document: Document, *, is_left_out: bool) -> None:
    """Leave a document out of its training, or include it again. Raises TrainingMoved."""
    with transaction.atomic():
        _lock_open(document.training)
        changed = Document.objects.filter(pk=document.pk).exclude(is_left_out=is_left_out)
        if changed.update(is_left_out=is_left_out):
            _texts_changed(document.training)


def delete_document(document: Document) -> None:
    """Delete a document and its files. Raises TrainingMoved, StorageUnavailable."""
    with transaction.atomic():
        _lock_open(document.training)
        Document.objects.filter(pk=document.pk).delete()
        _texts_changed(document.training)
    storage.discard_document(document)


def _create_documents(training: Training, files: Mapping[str, int]) -> list[Document]:
    with transaction.atomic():
        storage.require_room(training.tenant, sum(files.values()))
        _lock_open(training)
        _require_room(training, files)
        documents = []
        for name, size_bytes in files.items():
            documents.append(training.documents.create(name=name[:200], size_bytes=size_bytes))
        _texts_changed(training)
    return documents


def _lock_open(training: Training) -> None:
    """Lock a training whose texts can still change. Raises TrainingMoved for any other."""
    locked = Training.objects.select_for_update(no_key=True).get(pk=training.pk)
    if not locked.is_open or locked.is_job:
        raise TrainingMoved


def _texts_changed(training: Training) -> None:
    """Discard what was prepared from other texts."""
    Training.objects.filter(pk=training.pk).update(
        status=TrainingStatus.DRAFT, note=Message(), report={}, changed_at=timezone.now()
    )
    training.status = TrainingStatus.DRAFT


def _require_room(training: Training, files: Mapping[str, int]) -> None:
    stored = training.documents.aggregate(bytes=Sum("size_bytes", default=0))["bytes"]
    if training.documents.count() + len(files) > MAX_DOCUMENTS:
        raise BadDocument(fault=DocumentFault.TOO_MANY(limit=MAX_DOCUMENTS))
    if stored + sum(files.values()) > MAX_TRAINING_BYTES:
        raise BadDocument(fault=DocumentFault.TOO_MUCH(limit=MAX_TRAINING_BYTES // MIB))
    for name, size_bytes in files.items():
        _require_readable(name, size_bytes)


def _require_readable(name: str, size_bytes: int) -> None:
    shown = name[:80]
    if ending_of(name) not in ENDINGS:
        raise BadDocument(fault=DocumentFault.FORMAT(file=shown))
    if size_bytes <= 0:
        raise BadDocument(fault=DocumentFault.EMPTY(file=shown))
    if size_bytes > MAX_DOCUMENT_BYTES:
        raise BadDocument(fault=DocumentFault.TOO_LARGE(file=shown, limit=MAX_DOCUMENT_BYTES // MIB))


def _mark_uploaded(document: Document) -> int:
    uploading = Document.objects.filter(pk=document.pk, status=Document.Status.UPLOADING)
    return uploading.update(status=Document.Status.UPLOADED)


def _read(document: Document) -> None:
    """Read one document, and store its text."""
    row = Document.objects.filter(pk=document.pk, status=Document.Status.UPLOADED)
    # Counted first: otherwise a file that kills the worker would be retried forever.
    if not row.filter(readings__lt=MAX_READINGS).update(readings=F("readings") + 1):
        row.update(status=Document.Status.REFUSED, refusal=DocumentFault.UNREADABLE(file=document.name))
        return
    try:
        found = read_document(document.name, storage.read_posted(document))
    except NotStored:
        row.update(status=Document.Status.REFUSED, refusal=DocumentFault.GONE(file=document.name))
        return
    if len(found) == 1:
        _store_read(document, found[0])
    else:
        _store_members(document, found)
    storage.discard_posted(document)


def _store_members(archive: Document, members: list[ReadDocument]) -> None:
    """Replace an archive by its documents."""
    training = archive.training
    free = MAX_DOCUMENTS - training.documents.count() + 1
    for member in members[:free]:
        document = training.documents.create(
            name=f"{archive.name}/{member.name}"[-200:],
            size_bytes=len(member.text.encode()),
            status=Document.Status.UPLOADED,
            # If the worker is killed here, the whole archive is read again, and so its members are, too.
            readings=MAX_READINGS,
        )
        _store_read(document, replace(member, name=document.name))
    Document.objects.filter(pk=archive.pk).delete()


def _store_read(document: Document, read: ReadDocument) -> None:
    facts = {
        "format": read.format[:10],
        "words": read.words,
        "language": read.language[:10],
        "quotation_share": read.quotation_share,
        "removed": {kind: count for kind, count in asdict(read.removed).items() if count},
    }
    row = Document.objects.filter(pk=document.pk, status=Document.Status.UPLOADED)
    if read.refusal:
        explanation = explain(read.refusal)
        row.update(
            status=Document.Status.REFUSED,
            refusal=explanation.sentence,
            refusal_fix=explanation.fix,
            **facts,
        )
        return
    storage.write_text(document, read.text)
    row.update(
        status=Document.Status.READ,
        first_words=" ".join(read.text[: 2 * FIRST_WORDS_CHARACTERS].split())[:FIRST_WORDS_CHARACTERS],
        text_bytes=len(read.text.encode()),
        **facts,
    )
