"""Run the next training: lease its row, start the child, and save what it reports.

It stops for evaluations and is resumed after them.

A worker that is killed leaves a lease that runs out and a checkpoint in the storage. From there, the next
worker continues with the same losses.
"""

import logging
import tarfile
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import F, Max, OuterRef, Subquery
from django.utils import timezone

from adapters.errors import NotStored
from core.errors import DomainError, Unavailable
from core.lifecycle import LeaseLost
from core.messages import Message
from training import results, starting, storage
from training.models import Status, StopRequest, Training, TrainingEvent, TrainingQuerySet
from training.notes import TrainingFailure, TrainingNote
from training.results import ADAPTER, FILES
from training.runs import evaluator
from training.runs.child import (
    ChildDied,
    ChildEvent,
    ChildSilent,
    EngineChild,
    JobSettings,
    job_folder,
    model_settings,
    write_job,
)

# Checkpoints: copied between a job's folder and the storage, as one file that is replaced each time.

FOLDER = "checkpoint"  # in the job's folder, as engine/train.py writes it


def save(training: Training, folder: Path) -> bool:
    """Store the checkpoint that a job has written; return False if there is none.

    Raises StorageUnavailable.
    """
    packed = folder / storage.CHECKPOINT
    try:
        with tarfile.open(packed, "w") as archive:
            archive.add(folder / FOLDER, arcname=FOLDER)
    except FileNotFoundError:  # there is none, or the child is just replacing it: the next event follows
        return False
    storage.put_file(training.pk, storage.CHECKPOINT, packed)
    packed.unlink()
    return True


def restore(training: Training, folder: Path) -> bool:
    """Unpack the stored checkpoint into a job's folder; return False if there is none.

    Raises StorageUnavailable.
    """
    packed = folder / storage.CHECKPOINT
    try:
        packed.write_bytes(storage.read_file(training.pk, storage.CHECKPOINT))
    except NotStored:
        return False
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    packed.unlink()
    return True


logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)
# An evaluation takes a minute or two and a training hours: after so much training, it stops for evaluations.
# Loading the base model again takes some 20 seconds.
TURN_S = 120
MAX_ATTEMPTS = 5  # without a new checkpoint
POINTS_KEPT = 200  # losses of a training that its chart shows
SAVE_EVERY_S = 0.5
PACE_STEPS = 20  # the time left is told by the pace of the last steps
FAILURES = {
    "diverged": TrainingFailure.DIVERGED,
    "out_of_memory": TrainingFailure.OUT_OF_MEMORY,
}

# Set when this worker shuts down: its training then writes a checkpoint and waits for another worker.
STOPPING = threading.Event()


@dataclass
class Progress:
    """What the child reported last, and when it was saved."""

    first_step: int = 0  # of this child, and when it was completed
    first_step_at_s: float = 0.0
    last_steps: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=PACE_STEPS + 1))
    saved_at_s: float = 0.0
    is_stopping: bool = False
    ended: ChildEvent | None = None
    failed: ChildEvent | None = None
    has_stopped: bool = False


def waiting(now: datetime) -> TrainingQuerySet:
    """Return the trainings that a worker can take now, the next one first.

    Interrupted ones come first, then those of the workspace whose last training was longest ago.
    """
    own = Training.objects.filter(tenant=OuterRef("tenant"), ran_at__isnull=False).order_by()
    last_ran = own.values("tenant").annotate(last=Max("ran_at")).values("last")
    waiting = Training.objects.free(now).filter(status__in=[Status.QUEUED, Status.RUNNING])
    ordered = waiting.annotate(last_ran=Subquery(last_ran))
    return ordered.order_by("-status", F("last_ran").asc(nulls_first=True), "started_at")


def count_ahead(training: Training, now: datetime) -> int:
    """Return how many trainings run, or are taken before a queued one; of one not yet queued, all of them."""
    running = count_running_beside(training, now)
    in_turn = list(waiting(now).values_list("pk", flat=True))
    return running + (in_turn.index(training.pk) if training.pk in in_turn else len(in_turn))


def count_running_beside(training: Training, now: datetime) -> int:
    """Return how many other trainings have a worker, of all workspaces."""
    return Training.objects.leased(now).exclude(pk=training.pk).count()


def run_next() -> bool:
    """Run the next training until it ends or stops; return False if there is none."""
    if STOPPING.is_set():
        return False
    now = timezone.now()
    training = waiting(now).lease_first(now, LEASE)
    if training is None:
        return False
    try:
        _run(training)
    except LeaseLost:
        logger.warning("%s: another worker has taken it", training.pk)
    except Unavailable as error:
        training.wait(Message.of(error))
        return False
    except DomainError as error:  # it can no longer be paid for: its note says so
        logger.info("training %s doesn't start: %s", training.pk, error)
    except Exception:
        training.wait(TrainingNote.OUR_FAULT())
        raise
    finally:
        Training.objects.release(training)
    return True


def _run(training: Training) -> None:
    if training.status == Status.QUEUED:
        starting.hold_price(training)  # the process that queued it may have died before
        training.move(before=Status.QUEUED, after=Status.RUNNING, ran_at=timezone.now())
    if training.attempts >= MAX_ATTEMPTS:
        results.fail_training(training, TrainingFailure.CRASHED(times=MAX_ATTEMPTS))
        logger.error("training %s stopped %d times without a new checkpoint", training.pk, MAX_ATTEMPTS)
        return
    training.attempts += 1
    _save(training)
    with job_folder() as folder:
        _write_folder(training, folder)
        progress = Progress()
        try:
            with EngineChild(settings.TRAINING_PROGRAM, folder) as child:
                for event in child.events():
                    must_stop = _follow(training, folder, progress, event)
                    if must_stop and not progress.is_stopping:
                        progress.is_stopping = True
                        child.stop()
            _conclude(training, folder, progress)
        except (ChildDied, ChildSilent) as error:
            _record_crash(training, progress, error)


def _write_folder(training: Training, folder: Path) -> None:
    """Write a job's folder: settings, examples, and the last checkpoint."""
    write_job(folder, _job_settings(training))
    for name in (storage.LEARN, storage.VALIDATE):
        (folder / name).write_bytes(storage.read_file(training.pk, name))
    restore(training, folder)


def _job_settings(training: Training) -> JobSettings:
    """Return the settings of a training's job."""
    return {
        **model_settings(),
        "seed": training.seed,
        "checkpoint_every_s": settings.TRAINING_CHECKPOINT_S,
        # The end of a document says little about the next one. A file's last tenth are other conversations.
        "early_stopping": training.is_job or training.report.get("held_out_documents", False),
        "recipe": {**training.recipe, "epochs": training.epochs},
    }


def _follow(training: Training, folder: Path, progress: Progress, event: ChildEvent | None) -> bool:
    """Save what the child reports; return whether it must stop. Raises LeaseLost."""
    is_step = False
    if event is not None:
        is_step = event["type"] == "step"
        _record_event(training, folder, progress, event)
    if is_step and time.monotonic() - progress.saved_at_s <= SAVE_EVERY_S:
        return STOPPING.is_set()
    is_stop_requested = _save(training)
    progress.saved_at_s = time.monotonic()
    return is_stop_requested or STOPPING.is_set() or _makes_room(training, progress)


def _makes_room(training: Training, progress: Progress) -> bool:
    """Return whether a child has had its turn, and its worker is to take an evaluation that waits."""
    if progress.is_stopping or not progress.first_step:
        return False
    is_over = time.monotonic() - progress.first_step_at_s > TURN_S
    return is_over and evaluator.claim_room(training)


def _record_event(training: Training, folder: Path, progress: Progress, event: ChildEvent) -> None:
    match event["type"]:
        case "start":
            _begin(training, event)
        case "step":
            _record_step(training, progress, event)
        case "validation":
            training.validation_loss = event["loss"]
            _add_point(training, validation_loss=event["loss"])
        case "checkpoint":
            if save(training, folder):
                training.attempts = 0
                _add_point(training, is_checkpoint=True)
        case "stopped":
            progress.has_stopped = True
        case "end":
            progress.ended = event
        case "error":
            progress.failed = event


def _record_step(training: Training, progress: Progress, event: ChildEvent) -> None:
    training.step = event["step"]
    training.training_loss = event["loss"]
    training.trained_tokens = event["tokens"]
    if training.is_job:  # its canaries are free
        training.trained_tokens = min(training.trained_tokens, training.most_tokens)
    training.step_seconds = _measure_pace(progress, event)
    if training.step % max(1, training.steps // POINTS_KEPT) == 0:
        _add_point(training, training_loss=event["loss"])


def _begin(training: Training, event: ChildEvent) -> None:
    training.steps = event["steps"]
    training.step = event["first_step"]
    # Steps after the checkpoint are trained again, with the same losses. Without one all is done again: also
    # the validation before the first step.
    repeated = training.events.filter(status="")
    (repeated.filter(step__gt=training.step) if training.step else repeated).delete()


def _measure_pace(progress: Progress, event: ChildEvent) -> float:
    """Return the seconds per step of the last steps, with the validations and checkpoints between them.

    They take a sixth of the time, so steps alone would promise too early an end. A mean since the start
    would hardly move when other work slows the machine down.
    """
    progress.last_steps.append((event["step"], time.monotonic()))
    if not progress.first_step:
        progress.first_step, progress.first_step_at_s = progress.last_steps[0]
        return event["seconds"]
    step, at_s = progress.last_steps[0]
    return (progress.last_steps[-1][1] - at_s) / (event["step"] - step)


def _mean_pace(progress: Progress) -> float | None:
    """Return this child's seconds per step from its first to its last; None for fewer than two steps."""
    if not progress.last_steps or progress.last_steps[-1][0] == progress.first_step:
        return None
    step, at_s = progress.last_steps[-1]
    return (at_s - progress.first_step_at_s) / (step - progress.first_step)


def _add_point(training: Training, **facts: float | bool) -> None:
    TrainingEvent.objects.create(training=training, step=training.step, **facts)


def _save(training: Training) -> bool:
    """Save the row and renew its lease; return whether a member or an operator requested a stop.

    One query, and a second one only while a stop is requested. Raises LeaseLost.
    """
    columns = {
        "steps": training.steps,
        "step": training.step,
        "trained_tokens": training.trained_tokens,
        "training_loss": training.training_loss,
        "validation_loss": training.validation_loss,
        "step_seconds": training.step_seconds,
        "attempts": training.attempts,
        "note": Message(),
        "changed_at": timezone.now(),
    }
    running = Training.objects.filter(status=Status.RUNNING)
    if running.filter(stop_request=StopRequest.NONE).renew(training, LEASE, **columns):
        return False
    if not running.renew(training, LEASE, **columns):
        raise LeaseLost
    return True


def _conclude(training: Training, folder: Path, progress: Progress) -> None:
    """Move a training to its next status once its child has ended without an error.

    Raises ChildDied if the child reported neither a result nor that it stopped.
    """
    # Later trainings are estimated by the whole run, not by its last steps.
    training.step_seconds = _mean_pace(progress) or training.step_seconds
    _save(training)
    if progress.ended:
        for file in FILES:
            storage.put_file(training.pk, f"{ADAPTER}{file}", folder / "adapter" / file)
        training.move(
            before=Status.RUNNING,
            after=Status.FINISHING,
            stopped_early=progress.ended.get("stopped_early", False),
            trained_tokens=min(
                progress.ended.get("kept_tokens", training.trained_tokens), training.most_tokens
            ),
            validation_loss=progress.ended.get("validation_loss"),
        )
        return
    if not progress.has_stopped:
        raise ChildDied("it ended without a result")
    save(training, folder)
    training.refresh_from_db(fields=["stop_request", "failure"])
    if training.stop_request == StopRequest.CANCEL:
        results.end_training(training, before=Status.RUNNING, after=Status.CANCELLED)
    elif training.stop_request == StopRequest.PAUSE:
        training.move(before=Status.RUNNING, after=Status.PAUSED, stop_request=StopRequest.NONE)
    # Otherwise a worker takes it again: after an evaluation, or because this one is shutting down.


def _record_crash(training: Training, progress: Progress, error: Exception) -> None:
    """Fail a training that can't succeed; any other is retried from its checkpoint."""
    _save(training)
    reported = progress.failed or {"type": "error"}
    logger.warning("training %s: %s %s", training.pk, error, reported.get("message", ""))
    if reported.get("code") == "bad_job":  # another release wrote the checkpoint: start from scratch
        storage.discard_file(training.pk, storage.CHECKPOINT)
    failure = FAILURES.get(reported.get("code", ""))
    if failure:
        results.fail_training(training, failure())
