"""Celery tasks of trainings. All are safe to repeat; beat repeats messages that the broker may have lost."""

from celery import shared_task
from celery.signals import worker_shutting_down
from django.utils import timezone

from adapters.models import Evaluation
from adapters.public import enqueue
from core.queues import interval_s
from training import documents, erasure, pipeline
from training.enqueue import ADVANCE, ERASE, MAX_QUEUED, READ, RUN
from training.models import Document, Training
from training.runs import evaluator, runner


@shared_task
def advance(training_id: str) -> None:
    """Take the next steps of one training other than reading and its run: prepare, finish."""
    training = Training.objects.filter(pk=training_id).first()
    if training:
        pipeline.advance_training(training)


@shared_task
def read() -> None:
    """Read one document, and enqueue the next one."""
    if documents.read_next():
        enqueue(READ, max_queued=MAX_QUEUED)


@shared_task
def run() -> None:
    """Run the next evaluation, or else the next training, and enqueue what comes after it.

    Evaluations go first: they take a minute or two, and people wait for them. A training makes room for one.
    """
    if evaluator.run_next() or runner.run_next():
        enqueue(RUN, max_queued=MAX_QUEUED)


@shared_task
def advance_all() -> None:
    """Enqueue the reader, and every training that has a step to take."""
    until_next_s = interval_s(advance_all.name)
    for training_id in pipeline.to_advance().values_list("pk", flat=True):
        enqueue(ADVANCE, str(training_id), expires_s=until_next_s)
    if Document.objects.to_read().exists():
        enqueue(READ, expires_s=until_next_s)
    now = timezone.now()
    if runner.waiting(now).exists() or Evaluation.objects.waiting().free(now).exists():
        enqueue(RUN, expires_s=until_next_s)
    if erasure.to_erase().exists():
        enqueue(ERASE, expires_s=until_next_s)
    pipeline.note_waiting()


@shared_task
def erase() -> None:
    """Erase texts that must go now: of deleted workspaces, and of erased styles and versions."""
    erasure.erase_texts()


@worker_shutting_down.connect
def _stop_running(**_: object) -> None:
    """Have the training of a worker that shuts down write a checkpoint and stop."""
    runner.STOPPING.set()
