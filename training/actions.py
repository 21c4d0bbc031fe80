"""What members and programs do with trainings. Each action writes to the workspace's audit log.

Pages and the APIs call these.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from adapters.models import AdapterVersion, Evaluation
from adapters.models import Status as VersionStatus
from adapters.object_store import Upload
from core.messages import Message
from core.sizes import MIB
from tenants.access import Access
from training import enqueue, erasure, evaluations, results, starting, storage
from training.documents import MAX_DOCUMENTS
from training.errors import (
    BadDocument,
    NoDocuments,
    NotEvaluable,
    NothingToTrain,
    RightsNotStated,
    StillReading,
    TooManyEvaluations,
    TrainingMoved,
)
from training.models import MAX_EPOCHS, OPEN, Document, File, Status, StopRequest, Training
from training.notes import DocumentFault
from training.reading import ENDINGS, ending_of

MAX_DOCUMENT_BYTES = 50 * MIB
MAX_PASTED_BYTES = 2 * MIB
MAX_TRAINING_BYTES = 200 * MIB
MAX_EVALUATIONS_PER_DAY = 20
MAX_LEFT_OUT = 5_000

type Action = Callable[[Access, Training], object]


@dataclass(frozen=True)
class JobRequest:
    """What a job is to do. What is left out is decided here."""

    slug: str
    name: str
    training_file: File
    validation_file: File | None = None
    seed: int | None = None
    epochs: int = MAX_EPOCHS
    recipe: Mapping[str, object] = field(default_factory=dict)
    hyperparameters: Mapping[str, object] = field(default_factory=dict)  # as requested
    metadata: Mapping[str, str] = field(default_factory=dict)


@transaction.atomic
def create_training(access: Access, *, slug: str, name: str, epochs: int = MAX_EPOCHS) -> Training:
    """Return a new training without documents. Raises TrainingOff, StyleRefused, TooManyDrafts."""
    training = starting.create_training(access.tenant, access.maker, slug=slug, name=name, epochs=epochs)
    access.audit("training.created", training)
    return training


@transaction.atomic
def create_evaluation(access: Access, version: AdapterVersion) -> Training:
    """Return a draft whose texts will evaluate a version. Raises TrainingOff, TooManyDrafts, NotEvaluable."""
    if version.status != VersionStatus.SERVING:
        raise NotEvaluable
    style = version.style
    training = starting.create_training(
        style.owner, access.maker, slug=style.slug, name=style.name, epochs=MAX_EPOCHS
    )
    training.evaluated_version = version
    training.save(update_fields=["evaluated_version"])
    access.audit("evaluation.created", version)
    return training


@transaction.atomic
def request_evaluation(access: Access, training: Training) -> Evaluation:
    """Evaluate a version with a training's texts: once more, or for the first time.

    It costs nothing, so its number is limited. Raises TooManyEvaluations, NotEvaluable, TrainingMoved.
    """
    recent = Evaluation.objects.filter(
        version__style__owner=training.tenant, created_at__gt=timezone.now() - timedelta(days=1)
    )
    if recent.count() >= MAX_EVALUATIONS_PER_DAY:
        raise TooManyEvaluations(most=MAX_EVALUATIONS_PER_DAY)
    is_again = training.status == Status.SUCCEEDED
    if not is_again and not (
        training.is_evaluation and training.move(before=Status.READY, after=Status.SUCCEEDED)
    ):
        raise TrainingMoved
    evaluation = evaluations.begin_evaluation(training)
    enqueue.enqueue_run()
    access.audit("evaluation.requested", evaluation.version)
    return evaluation


@transaction.atomic
def rename_training(access: Access, training: Training, *, slug: str, name: str) -> None:
    """Rename the style of a training that has not started.

    Raises NothingToTrain, StyleRefused, TrainingMoved.
    """
    if training.is_evaluation:
        raise NothingToTrain
    starting.require_name(training.tenant, slug, name)
    renamed = Training.objects.filter(pk=training.pk, status__in=OPEN).update(slug=slug, name=name)
    if not renamed:
        raise TrainingMoved
    access.audit("training.renamed", training, after={"slug": slug, "name": name})


@transaction.atomic
def add_documents(
    access: Access, training: Training, files: Mapping[str, int]
) -> list[tuple[Document, Upload]]:
    """Return a new document and a POST form for each file: name → bytes.

    Raises BadDocument naming the first file that can't be added, StorageFull, and TrainingMoved.
    """
    added = [
        (document, storage.presign_document(document)) for document in _create_documents(training, files)
    ]
    access.audit("training.documents_added", training, after={"documents": len(added)})
    return added


def add_file(access: Access, training: Training, name: str, content: bytes) -> Document:
    """Add a file that was sent through this service.

    No transaction: it waits for the storage. Raises BadDocument, StorageFull, TrainingMoved,
    StorageUnavailable.
    """
    [document] = _create_documents(training, {name: len(content)})
    storage.write_posted(document, content)
    _mark_uploaded(document)
    access.audit("training.documents_added", training, after={"documents": 1})
    enqueue.enqueue_reading()
    return document


def add_text(access: Access, training: Training, name: str, text: str) -> Document:
    """Add a pasted text as a file. Raises what `add_file` does."""
    content = text.encode(errors="replace")
    if not content.strip():
        raise BadDocument(fault=DocumentFault.EMPTY(file=name))
    if len(content) > MAX_PASTED_BYTES:
        raise BadDocument(fault=DocumentFault.PASTED_TOO_LONG(limit=MAX_PASTED_BYTES // MIB))
    return add_file(access, training, name, content)


def finish_documents(access: Access, training: Training) -> int:
    """Queue the documents that have arrived for reading; return how many. Raises StorageUnavailable.

    No transaction: it waits for the storage. Repeating it has no effect.
    """
    arrived = 0
    for document in training.documents.filter(status=Document.Status.UPLOADING):
        if storage.is_posted(document):
            arrived += _mark_uploaded(document)
    enqueue.enqueue_reading()
    return arrived


@transaction.atomic
def leave_out_document(access: Access, document: Document, *, is_left_out: bool) -> None:
    """Leave a document out of its training, or include it again. Raises TrainingMoved."""
    _lock_open(document.training)
    changed = Document.objects.filter(pk=document.pk).exclude(is_left_out=is_left_out)
    if changed.update(is_left_out=is_left_out):
        _texts_changed(document.training)
    access.audit("training.document_left_out", document.training, after={"left_out": is_left_out})


def delete_document(access: Access, document: Document) -> None:
    """Delete a document and its text. Raises TrainingMoved, StorageUnavailable."""
    training = document.training
    with transaction.atomic():
        _lock_open(training)
        Document.objects.filter(pk=document.pk).delete()
        _texts_changed(training)
    storage.discard_document(document)
    access.audit("training.document_deleted", training)


@transaction.atomic
def leave_out_passages(access: Access, training: Training, passage_ids: Sequence[str]) -> None:
    """Set which passages are left out, and make the examples again. Raises TrainingMoved."""
    left_out = sorted(set(passage_ids))
    is_few = len(passage_ids) <= MAX_LEFT_OUT
    if not is_few or not training.move(
        before=Status.READY, after=Status.PREPARING, left_out_passages=left_out
    ):
        raise TrainingMoved
    access.audit("training.passages_left_out", training, after={"passages": len(passage_ids)})
    enqueue.enqueue_advance(training.pk)


@transaction.atomic
def prepare_training(access: Access, training: Training) -> None:
    """Queue a training for its examples and its estimate. Repeating it has no effect.

    Raises NoDocuments, StillReading, TrainingMoved.
    """
    if training.status not in (Status.PREPARING, Status.READY):
        unread = (Document.Status.UPLOADING, Document.Status.UPLOADED)
        reading = training.documents.filter(status__in=unread).count()
        if reading:
            raise StillReading(count=reading)
        if not training.documents.learned().exists():
            raise NoDocuments
        if not training.move(before=Status.DRAFT, after=Status.PREPARING):
            raise TrainingMoved
    enqueue.enqueue_advance(training.pk)


def start_training(
    access: Access, training: Training, *, states_rights: bool, keeps_documents: bool = False
) -> None:
    """Hold the price and queue the training. Raises RightsNotStated, and the errors of `starting.start_job`.

    No transaction: once published, the hold is checked against requests in flight.
    """
    if not states_rights:
        raise RightsNotStated
    was_started = training.started_at is not None
    starting.start_job(
        training,
        rights_stated_at=timezone.now(),
        rights_stated_by=access.maker,
        keeps_documents=keeps_documents,
    )
    if not was_started:
        access.audit(
            "training.started",
            training,
            after={"most_tokens": training.most_tokens, "rights": states_rights, "keeps": keeps_documents},
        )
    enqueue.enqueue_run()


@transaction.atomic
def pause_training(access: Access, training: Training) -> None:
    """Pause a training after its current step. Repeating it has no effect.

    Raises TrainingMoved, also for one that is being cancelled.
    """
    running = Training.objects.filter(pk=training.pk, status=Status.RUNNING)
    unasked = running.filter(stop_request=StopRequest.NONE)
    is_paused = training.move(before=Status.QUEUED, after=Status.PAUSED)
    if is_paused or unasked.update(stop_request=StopRequest.PAUSE):
        access.audit("training.paused", training)
    elif not running.filter(stop_request=StopRequest.PAUSE).exists():
        raise TrainingMoved


@transaction.atomic
def resume_training(access: Access, training: Training) -> None:
    """Resume a paused training. Raises TrainingMoved."""
    pausing = Training.objects.filter(pk=training.pk, status=Status.RUNNING, stop_request=StopRequest.PAUSE)
    has_not_stopped = pausing.update(stop_request=StopRequest.NONE)
    if not has_not_stopped and not training.move(
        before=Status.PAUSED, after=Status.QUEUED, stop_request=StopRequest.NONE
    ):
        raise TrainingMoved
    access.audit("training.resumed", training)
    enqueue.enqueue_run()


@transaction.atomic
def cancel_training(access: Access, training: Training) -> None:
    """Cancel a training; completed steps are charged. Repeating it has no effect. Raises TrainingMoved."""
    if results.cancel_training(training):
        access.audit("training.cancelled", training)


def erase_documents(access: Access, training: Training) -> int:
    """Delete the texts of a training that has ended; return how many files. Raises TrainingMoved."""
    erased = erasure.erase_documents(training)
    access.audit("training.documents_deleted", training, after={"files": erased})
    return erased


def delete_training(access: Access, training: Training) -> None:
    """Delete a training that is not in progress, with all its texts. Raises TrainingMoved."""
    deleted = copy(training)  # which keeps its id
    erasure.delete_training(training)
    access.audit("training.deleted", deleted)


@transaction.atomic
def create_job(access: Access, request: JobRequest) -> Training:
    """Return a new job, which checks its files and starts automatically. Raises TrainingOff, TooManyDrafts,
    StyleRefused, and what `starting.require_startable` does.

    By the terms of the API, the caller states the rights to the texts.
    """
    starting.require_startable(access.tenant, timezone.now())
    training = starting.create_training(
        access.tenant, access.maker, slug=request.slug, name=request.name, epochs=request.epochs
    )
    training.training_file = request.training_file
    training.validation_file = request.validation_file
    training.seed = training.seed if request.seed is None else request.seed
    training.recipe = dict(request.recipe)
    training.hyperparameters = dict(request.hyperparameters)
    training.metadata = dict(request.metadata)
    training.rights_stated_at = timezone.now()
    training.rights_stated_by = access.maker
    training.save()
    if not training.move(before=Status.DRAFT, after=Status.PREPARING):
        raise TrainingMoved
    access.audit("training.created", training, after={"file": request.training_file.name})
    enqueue.enqueue_advance(training.pk)
    return training


def _create_documents(training: Training, files: Mapping[str, int]) -> list[Document]:
    with transaction.atomic():
        storage.require_room(training.tenant, sum(files.values()))
        _lock_open(training)
        stored = training.documents.aggregate(bytes=Sum("size_bytes", default=0))["bytes"]
        if training.documents.count() + len(files) > MAX_DOCUMENTS:
            raise BadDocument(fault=DocumentFault.TOO_MANY(limit=MAX_DOCUMENTS))
        if stored + sum(files.values()) > MAX_TRAINING_BYTES:
            raise BadDocument(fault=DocumentFault.TOO_MUCH(limit=MAX_TRAINING_BYTES // MIB))
        for name, size_bytes in files.items():
            _require_readable(name, size_bytes)
        documents = []
        for name, size_bytes in files.items():
            documents.append(training.documents.create(name=name[:200], size_bytes=size_bytes))
        _texts_changed(training)
    return documents


def _require_readable(name: str, size_bytes: int) -> None:
    shown = name[:80]
    if ending_of(name) not in ENDINGS:
        raise BadDocument(fault=DocumentFault.FORMAT(file=shown))
    if size_bytes <= 0:
        raise BadDocument(fault=DocumentFault.EMPTY(file=shown))
    if size_bytes > MAX_DOCUMENT_BYTES:
        raise BadDocument(fault=DocumentFault.TOO_LARGE(file=shown, limit=MAX_DOCUMENT_BYTES // MIB))


def _lock_open(training: Training) -> None:
    """Lock a training whose texts can still change. Raises TrainingMoved for any other."""
    locked = Training.objects.select_for_update(no_key=True).get(pk=training.pk)
    if not locked.is_open or locked.is_job:
        raise TrainingMoved


def _texts_changed(training: Training) -> None:
    """Discard what was prepared from other texts."""
    Training.objects.filter(pk=training.pk).update(
        status=Status.DRAFT, note=Message(), report={}, changed_at=timezone.now()
    )
    training.status = Status.DRAFT


def _mark_uploaded(document: Document) -> int:
    uploading = Document.objects.filter(pk=document.pk, status=Document.Status.UPLOADING)
    return uploading.update(status=Document.Status.UPLOADED)
