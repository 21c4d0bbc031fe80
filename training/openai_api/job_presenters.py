"""Jobs, their events and checkpoints, as OpenAI's API shows them."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from inference.openai_views.base import unix_time
from training.models import Status, Training, TrainingEvent

JOB, EVENT, CHECKPOINT = "ftjob-", "ftevent-", "ftckpt-"
STATUSES = {
    Status.DRAFT: "validating_files",
    Status.PREPARING: "validating_files",
    Status.READY: "queued",  # its price is not held yet
    Status.QUEUED: "queued",
    Status.RUNNING: "running",
    Status.PAUSED: "paused",
    Status.FINISHING: "running",
    Status.SUCCEEDED: "succeeded",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
}
SENTENCES = {
    Status.PREPARING: "Created fine-tuning job: {job}. Validating files.",
    Status.READY: "Files validated: {examples} examples, {tokens} tokens at most.",
    Status.QUEUED: "The job is queued.",
    Status.RUNNING: "Fine-tuning job started.",
    Status.PAUSED: "The job is paused.",
    Status.FINISHING: "Training is complete. Checking the new model.",
    Status.SUCCEEDED: "The job has successfully completed. New fine-tuned model created: {model}",
    Status.FAILED: "The job failed. {failure}",
    Status.CANCELLED: "The job was cancelled.",
}


def id_of(training: Training) -> str:
    """Return a job's id as programs see it."""
    return f"{JOB}{training.pk.hex}"


def present_job(training: Training) -> dict[str, object]:
    """Return a job as OpenAI's FineTuningJob."""
    hyperparameters = training.hyperparameters
    left_s = training.left_s
    result = getattr(training, "result_file", None)
    is_shown = result is not None and training.status == Status.SUCCEEDED and result.deleted_at is None
    return {
        "id": id_of(training),
        "object": "fine_tuning.job",
        "created_at": unix_time(training.created_at),
        "finished_at": unix_time(training.ended_at),
        "model": settings.BASE_MODEL,
        "fine_tuned_model": _model_of(training),
        "organization_id": training.tenant.slug,
        "status": STATUSES[Status(training.status)],
        "training_file": training.training_file.public_id if training.training_file else "",
        "validation_file": training.validation_file.public_id if training.validation_file else None,
        "result_files": [result.public_id] if result and is_shown else [],
        "hyperparameters": hyperparameters,
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        "seed": training.seed,
        "trained_tokens": training.trained_tokens if training.is_ended else None,
        "estimated_finish": None if left_s is None else unix_time(timezone.now() + timedelta(seconds=left_s)),
        "error": present_error(training),
        "integrations": [],
        "metadata": training.metadata,
    }


def present_error(training: Training) -> dict[str, object] | None:
    """Return why a job failed; None for any other."""
    if training.status != Status.FAILED:
        return None
    failure = training.failure
    param = failure.facts.get("param")
    code = failure.facts.get("code") or failure.code.rpartition(".")[2]
    return {"code": code, "message": failure.in_english(), "param": param}


def present_event(event: TrainingEvent) -> dict[str, object]:
    """Return an event as OpenAI's FineTuningJobEvent. The training is loaded with it."""
    is_status = bool(event.status)
    data = {} if is_status else _metrics_of(event)
    return {
        "id": f"{EVENT}{event.pk:032x}",
        "object": "fine_tuning.job.event",
        "created_at": unix_time(event.at),
        "level": "error" if event.status == Status.FAILED else "info",
        "message": _describe_status(event) if is_status else _describe_metrics(event, data),
        "type": "message" if is_status else "metrics",
        "data": data,
    }


def present_checkpoint(event: TrainingEvent) -> dict[str, object]:
    """Return the checkpoint that became the model, as OpenAI's FineTuningJobCheckpoint."""
    return {
        "id": f"{CHECKPOINT}{event.pk:032x}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": unix_time(event.at),
        "fine_tuned_model_checkpoint": _model_of(event.training),
        "fine_tuning_job_id": id_of(event.training),
        "step_number": event.step,
        "metrics": _metrics_of(event),
    }


def _model_of(training: Training) -> str | None:
    is_made = training.status == Status.SUCCEEDED and training.version is not None
    return training.version.model_name if is_made and training.version else None


def _metrics_of(event: TrainingEvent) -> dict[str, object]:
    metrics: dict[str, object] = {"step": event.step, "total_steps": event.training.steps}
    if event.training_loss is not None:
        metrics["train_loss"] = event.training_loss
    if event.validation_loss is not None:
        metrics["valid_loss"] = event.validation_loss
    return metrics


def _describe_status(event: TrainingEvent) -> str:
    training = event.training
    return (
        SENTENCES.get(Status(event.status), "")
        .format(
            job=id_of(training),
            examples=training.examples,
            tokens=training.most_tokens,
            model=training.version.model_name if training.version else "",
            failure=training.failure.in_english(),
        )
        .strip()
    )


def _describe_metrics(event: TrainingEvent, metrics: dict[str, object]) -> str:
    if event.is_checkpoint:
        return f"Progress saved at step {event.step}."
    losses = [f"{name}={metrics[name]:.4f}" for name in ("train_loss", "valid_loss") if name in metrics]
    return f"Step {event.step}/{event.training.steps}: {', '.join(losses)}"
