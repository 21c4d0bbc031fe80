"""The steps of a training other than reading and its run. Each is safe to repeat, also from two workers."""

import logging
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from core import locks
from core.errors import Unavailable
from core.messages import Message
from training import file_jobs, preparation, results, summary
from training.models import Status, Training
from training.notes import TrainingNote

logger = logging.getLogger(__name__)

WORKER_SILENT_AFTER = timedelta(minutes=2)


def advance_training(training: Training) -> None:
    """Take every step that can be taken now.

    If a service is unavailable, the training's note says so, and a later call takes the step.
    """
    with locks.only_one(f"training {training.pk}") as mine:
        if not mine:
            return
        training.refresh_from_db()
        try:
            _take_step(training)
        except Unavailable as error:
            training.wait(Message.of(error))
        except Exception:
            training.wait(TrainingNote.OUR_FAULT())
            raise


def to_advance() -> QuerySet[Training]:
    """Return the trainings with a step to take other than reading and their run."""
    is_waiting_job = Q(status=Status.READY, training_file__isnull=False)
    return Training.objects.filter(
        is_waiting_job | Q(status__in=[Status.PREPARING, Status.FINISHING])
    ).order_by("changed_at")


def note_waiting() -> None:
    """Note on queued trainings that no worker takes them."""
    for training in summary.find_unserved(timezone.now(), WORKER_SILENT_AFTER):
        training.wait(TrainingNote.WORKER())


def _take_step(training: Training) -> None:
    match training.status:
        case Status.PREPARING | Status.READY if training.is_job:
            file_jobs.advance_job(training)
        case Status.PREPARING:
            preparation.prepare(training)
        case Status.FINISHING:
            if training.is_job:
                file_jobs.write_results(training)
            results.finish(training)
