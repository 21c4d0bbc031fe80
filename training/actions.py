"""What members and programs do with trainings. Each action writes to the workspace's audit log.

Pages and the APIs call these.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy

from django.db import transaction

from adapters.models import AdapterVersion, Evaluation
from adapters.object_store import Upload
from tenants.access import Access
from training import documents, enqueue, erasure, evaluations, preparation, results, starting
from training.models import MAX_EPOCHS, Document, Training

type Action = Callable[[Access, Training], object]


@transaction.atomic
def create_training(access: Access, *, slug: str, name: str, epochs: int = MAX_EPOCHS) -> Training:
    """Return a new training without documents. Raises TrainingOff, StyleRefused, TooManyDrafts."""
    training = starting.create_training(access.tenant, access.maker, slug=slug, name=name, epochs=epochs)
    access.audit("training.created", training)
    return training


@transaction.atomic
def create_evaluation(access: Access, version: AdapterVersion) -> Training:
    """Return a draft whose texts will evaluate a version. Raises TrainingOff, TooManyDrafts, NotEvaluable."""
    training = starting.create_evaluation(version, access.maker)
    access.audit("evaluation.created", version)
    return training


@transaction.atomic
def request_evaluation(access: Access, training: Training) -> Evaluation:
    """Evaluate a version with a training's texts. Raises TooManyEvaluations, NotEvaluable, TrainingMoved."""
    evaluation = evaluations.request_evaluation(training)
    enqueue.enqueue_run()
    access.audit("evaluation.requested", evaluation.version)
    return evaluation


@transaction.atomic
def rename_training(access: Access, training: Training, *, slug: str, name: str) -> None:
    """Rename the style of a training that has not started. Raises StyleRefused, TrainingMoved."""
    starting.rename_training(training, slug=slug, name=name)
    access.audit("training.renamed", training, after={"slug": slug, "name": name})


@transaction.atomic
def add_documents(
    access: Access, training: Training, files: Mapping[str, int]
) -> list[tuple[Document, Upload]]:
    """Return a document and a POST form for each file: name → bytes. Raises BadDocument, StorageFull,
    TrainingMoved."""
    added = documents.add_documents(training, files)
    access.audit("training.documents_added", training, after={"documents": len(added)})
    return added


def add_file(access: Access, training: Training, name: str, content: bytes) -> Document:
    """Add a file that was sent through this service.

    No transaction: it waits for the storage. Raises BadDocument, StorageFull, TrainingMoved,
    StorageUnavailable.
    """
    document = documents.add_file(training, name, content)
    access.audit("training.documents_added", training, after={"documents": 1})
    enqueue.enqueue_reading()
    return document


def add_text(access: Access, training: Training, name: str, text: str) -> Document:
    """Add a pasted text as a file. Raises what `add_file` does."""
    return add_file(access, training, name, documents.encode_pasted(name, text))


def finish_documents(access: Access, training: Training) -> int:
    """Queue the documents that have arrived for reading; return how many. Raises StorageUnavailable.

    No transaction: it waits for the storage. Repeating it has no effect.
    """
    arrived = documents.finish_documents(training)
    enqueue.enqueue_reading()
    return arrived


@transaction.atomic
def leave_out_document(access: Access, document: Document, *, is_left_out: bool) -> None:
    """Leave a document out of its training, or include it again. Raises TrainingMoved."""
    documents.leave_out(document, is_left_out=is_left_out)
    access.audit("training.document_left_out", document.training, after={"left_out": is_left_out})


def delete_document(access: Access, document: Document) -> None:
    """Delete a document and its text. Raises TrainingMoved, StorageUnavailable."""
    training = document.training
    documents.delete_document(document)
    access.audit("training.document_deleted", training)


@transaction.atomic
def leave_out_passages(access: Access, training: Training, passage_ids: Sequence[str]) -> None:
    """Set which passages are left out, and make the examples again. Raises TrainingMoved."""
    preparation.leave_out_passages(training, passage_ids)
    access.audit("training.passages_left_out", training, after={"passages": len(passage_ids)})
    enqueue.enqueue_advance(training.pk)


@transaction.atomic
def prepare_training(access: Access, training: Training) -> None:
    """Queue a training for its examples and its estimate. Repeating it has no effect.

    Raises NoDocuments, StillReading, TrainingMoved.
    """
    preparation.begin_preparation(training)
    enqueue.enqueue_advance(training.pk)


def start_training(
    access: Access, training: Training, *, states_rights: bool, keeps_documents: bool = False
) -> None:
    """Hold the price and queue the training. Raises the errors of `starting.start_training`.

    No transaction: once published, the hold is checked against requests in flight.
    """
    was_started = training.started_at is not None
    starting.start_training(
        training, access.maker, states_rights=states_rights, keeps_documents=keeps_documents
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
    """Pause a training after its current step. Repeating it has no effect. Raises TrainingMoved."""
    if results.request_pause(training):
        access.audit("training.paused", training)


@transaction.atomic
def resume_training(access: Access, training: Training) -> None:
    """Resume a paused training. Raises TrainingMoved."""
    results.resume_training(training)
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
