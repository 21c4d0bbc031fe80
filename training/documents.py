"""Documents of a training are read in a child process.

Rows are the queue of the reader: `read_next` reads one document, of the workspace whose turn it is.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from operator import itemgetter
from uuid import UUID

from django.db.models import Exists, F, Min, OuterRef

from adapters.errors import NotStored
from core import locks, valkey
from core.errors import Unavailable
from core.messages import NO_MESSAGE, Message
from training import storage
from training.models import Document, Training
from training.notes import DocumentFault, TrainingNote
from training.reading import ReadDocument, read_document
from training.reading.problems import explain

logger = logging.getLogger(__name__)

MAX_DOCUMENTS = 500
MAX_READINGS = 3
READER_BUDGET_S = 600  # of a workspace and hour; a novel takes a second
HOUR_S = 3600
FIRST_WORDS_CHARACTERS = 300


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
