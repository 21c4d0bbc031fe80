"""How trainings end: with a version, cancelled, or failed. Trained tokens are settled once."""

from django.db import transaction
from django.utils import timezone

from core.messages import NO_MESSAGE, Message
from events.models import EventType
from events.outbox import record_event
from metering.quota_sync import training_holds
from training.errors import TrainingMoved
from training.models import Status, StopRequest, Training


def request_pause(training: Training) -> bool:
    """Pause a training after its current step; return False if that was already requested.

    Raises TrainingMoved, also for one that is being cancelled.
    """
    if training.move(before=Status.QUEUED, after=Status.PAUSED):
        return True
    running = Training.objects.filter(pk=training.pk, status=Status.RUNNING)
    if running.filter(stop_request=StopRequest.NONE).update(stop_request=StopRequest.PAUSE):
        return True
    if not running.filter(stop_request=StopRequest.PAUSE).exists():
        raise TrainingMoved
    return False


def resume_training(training: Training) -> None:
    """Queue a paused training again. Raises TrainingMoved."""
    paused = Training.objects.filter(pk=training.pk, status=Status.RUNNING, stop_request=StopRequest.PAUSE)
    if paused.update(stop_request=StopRequest.NONE):  # it has not stopped yet
        return
    if not training.move(before=Status.PAUSED, after=Status.QUEUED, stop_request=StopRequest.NONE):
        raise TrainingMoved


def cancel_training(training: Training, reason: Message = NO_MESSAGE) -> bool:
    """Cancel a training. Completed steps are charged; a running one stops after its current step.

    Repeating it has no effect and returns False. Raises TrainingMoved if the training has ended otherwise.
    """
    training.refresh_from_db()
    if training.status == Status.CANCELLED:
        return False
    for status in (Status.DRAFT, Status.PREPARING, Status.READY, Status.QUEUED, Status.PAUSED):
        if end_training(training, before=status, after=Status.CANCELLED, failure=reason):
            return True
    running = Training.objects.filter(pk=training.pk, status=Status.RUNNING)
    if running.exclude(stop_request=StopRequest.CANCEL).update(
        stop_request=StopRequest.CANCEL, failure=reason
    ):
        return True
    if not running.exists():
        raise TrainingMoved
    return False


def end_training(
    training: Training, *, before: Status, after: Status, is_charged: bool = True, **changes: object
) -> bool:
    """End a training and settle its tokens; return False if another worker was first."""
    with transaction.atomic():
        if not training.move(before=before, after=after, stop_request=StopRequest.NONE, **changes):
            return False
        if training.started_at:
            tokens = training.trained_tokens if is_charged else 0
            training_holds.settle_training(training.pk, tokens, now=timezone.now())
        if after == Status.SUCCEEDED:
            record_event(training.tenant_id, EventType.TRAINING_SUCCEEDED, training)
        elif after == Status.FAILED:
            record_event(training.tenant_id, EventType.TRAINING_FAILED, training)
    return True


def fail_training(training: Training, failure: Message, *, is_charged: bool = True) -> None:
    """End a training that can't succeed, unless another worker was first."""
    end_training(
        training, before=Status(training.status), after=Status.FAILED, is_charged=is_charged, failure=failure
    )
