"""What programs do over the API in OpenAI's form: files and jobs, each action with its audit line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from tenants.access import Access
from training import enqueue, starting
from training.errors import TrainingMoved
from training.files import store
from training.models import MAX_EPOCHS, File, Status, Training


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


def begin_file(access: Access, *, name: str, size_bytes: int) -> File:
    """Return a new file whose content follows. Raises FileTooLarge, StorageFull."""
    return store.begin_file(access.tenant, purpose=File.Purpose.FINE_TUNE, name=name, size_bytes=size_bytes)


def write_file(file: File, chunks: Iterable[bytes]) -> int:
    """Store a file's content; return its bytes. Whatever is raised, the file is gone then.

    No transaction: it takes as long as the client sends. Raises FileTooLarge, StorageUnavailable, and what
    `chunks` raises.
    """
    try:
        return store.write_content(file, chunks)
    except BaseException:
        # Its content was not stored, or not whole: so there is nothing to erase.
        file.delete()
        raise


@transaction.atomic
def finish_file(access: Access, file: File, *, size_bytes: int, expires_after_s: int | None) -> None:
    """Let a file be used, until it expires."""
    store.finish_file(file, size_bytes=size_bytes)
    if expires_after_s is not None:
        file.expires_at = file.created_at + timedelta(seconds=expires_after_s)
        file.save(update_fields=["expires_at"])
    access.audit("file.uploaded", file, after={"bytes": size_bytes})


def delete_file(access: Access, file: File) -> None:
    """Delete a file for good. Raises FileInUse, StorageUnavailable.

    No transaction: it waits for the storage.
    """
    store.delete_file(file)
    access.audit("file.deleted", file)


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
