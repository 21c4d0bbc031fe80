"""Wake the workers of trainings when the transaction commits. Beat repeats lost messages."""

from functools import partial
from uuid import UUID

from django.db import transaction

from adapters.public import enqueue

ADVANCE = "training.tasks.advance"
READ = "training.tasks.read"
RUN = "training.tasks.run"
ERASE = "training.tasks.erase"
MAX_QUEUED = 10


def enqueue_advance(training_id: UUID) -> None:
    """Wake a worker for the next step of a training, other than reading and its run."""
    transaction.on_commit(partial(enqueue, ADVANCE, str(training_id), max_queued=MAX_QUEUED), robust=True)


def enqueue_reading() -> None:
    """Wake the workers that read documents."""
    transaction.on_commit(partial(enqueue, READ, max_queued=MAX_QUEUED), robust=True)


def enqueue_run() -> None:
    """Wake the training workers."""
    transaction.on_commit(partial(enqueue, RUN, max_queued=MAX_QUEUED), robust=True)
