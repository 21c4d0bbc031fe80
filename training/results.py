"""The result of a training becomes a version, by the same pipeline as an upload."""

from django.db import transaction
from django.utils import timezone

from adapters import object_store
from adapters.errors import UploadRefused
from adapters.models import AdapterVersion, ShareRefusal
from adapters.models import Status as VersionStatus
from adapters.public import StyleDescription, begin_upload, enqueue_advance, finish_upload
from core.messages import NO_MESSAGE, Message
from events.models import EventType
from events.outbox import record_event
from metering.quota_sync import training_holds
from training import evaluations, storage
from training.errors import TrainingMoved
from training.models import Status, StopRequest, Training
from training.notes import TrainingFailure, TrainingNote

# How trainings end: with a version, cancelled, or failed. Trained tokens are settled once.


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


FILES = ("adapter_config.json", "adapter_model.safetensors")
ADAPTER = "adapter/"  # the trained adapter in the training's own folder of the storage
LOADED = (VersionStatus.SERVING, VersionStatus.FAILED)
LOADING = (VersionStatus.VALID, VersionStatus.PUSHING)


def finish(training: Training) -> None:
    """Take the next step from a trained adapter to a version. Safe to repeat. Raises StorageUnavailable."""
    version = training.version or _begin_version(training)
    if version is None:
        return
    if version.status == VersionStatus.UPLOADING:
        _hand_in(training, version)
    version.refresh_from_db()
    if version.status == VersionStatus.REJECTED:
        reasons = [finding.sentence_message for finding in version.findings[:1]]
        failure = TrainingFailure.NO_RESULT(reason=reasons[0] if reasons else "")
        fail_training(training, failure, is_charged=False)
    elif _can_be_called(version):
        with transaction.atomic():
            is_ended = end_training(training, before=Status.FINISHING, after=Status.SUCCEEDED)
            if is_ended and version.status in evaluations.EVALUABLE:
                evaluations.begin_evaluation(training)


def _can_be_called(version: AdapterVersion) -> bool:
    """Return whether a checked version answers, or won't before somebody has done something.

    Programs call it as soon as its training has succeeded. Its note says so while an engine is away.
    """
    return version.status in LOADED or (version.status in LOADING and bool(version.note))


def _begin_version(training: Training) -> AdapterVersion | None:
    """Return the version for the trained adapter; None while the plan has no room for it."""
    sizes = {}
    for file in FILES:
        sizes[file] = object_store.stored_bytes(f"{storage.folder_of(training.pk)}{ADAPTER}{file}") or 0
    about = StyleDescription(slug=training.slug, name=training.name, auto_promote=False)
    try:
        # One transaction: a worker that is killed makes no second version.
        with transaction.atomic():
            version, _ = begin_upload(training.tenant, training.created_by, about, sizes)
            AdapterVersion.objects.filter(pk=version.pk).update(
                provenance=provenance_of(training), share_refusal=ShareRefusal.UNEVALUATED()
            )
            Training.objects.filter(pk=training.pk).update(version=version)
    except UploadRefused as error:
        faults = [fault for field in error.errors.values() for fault in field]
        training.wait(TrainingNote.PLAN_FULL(fault=" ".join(map(str, faults))))
        return None
    training.version = version
    return version


def provenance_of(training: Training) -> dict[str, object]:
    """Return what is recorded on a version: its training, recipe, texts, and who stated the rights."""
    return {
        "training": str(training.pk),
        "recipe": training.recipe | {"epochs": training.epochs, "seed": training.seed},
        "corpus_sha256": training.corpus_sha256,
        "words": training.report.get("learned_words", 0),
        "trained_tokens": training.trained_tokens,
        "rights_stated_at": training.rights_stated_at and training.rights_stated_at.isoformat(),
        "rights_stated_by": str(training.rights_stated_by or ""),
    }


def _hand_in(training: Training, version: AdapterVersion) -> None:
    for file in FILES:
        content = storage.read_file(training.pk, f"{ADAPTER}{file}")
        object_store.write_object(object_store.upload_key(version.pk, file), [content])
    finish_upload(version)
    enqueue_advance(version.pk)
