"""`/v1/fine_tuning/jobs`: created, listed, followed, paused, cancelled.

https://developers.openai.com/api/reference/resources/fine_tuning
"""

import re
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from adapters.errors import StyleRefused
from core.names import read_id
from inference.openai_views.base import unix_time
from inference.openai_views.schema import AFTER, limit_of, operation
from inference.public import BadRequest
from tenants.access import Access
from tenants.models import Scope
from tenants.rest import IDEMPOTENCY_KEY, idempotent, repeatable
from training import actions
from training.actions import Action
from training.models import Status, Training, TrainingEvent
from training.openai_api.job_forms import JobBody, is_storable, read_job
from training.openai_api.shapes import (
    FILE_ID,
    FineTuningCheckpoint,
    FineTuningEvent,
    FineTuningJob,
    NoSuchJob,
    TrainingView,
)

# Jobs, their events and checkpoints, as OpenAI's API shows them.

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


METADATA = re.compile(r"metadata\[(.{1,64})\]")
DEFAULT_LIMIT, MAX_LIMIT = 20, 100
CHECKPOINTS_LIMIT = 10
READS, WRITES = Scope.STYLES_READ, Scope.STYLES_WRITE


class JobsView(TrainingView):
    """All jobs, and new ones."""

    @operation(
        "fine_tuning.jobs.list",
        "List fine-tuning jobs",
        scope=READS,
        answer=FineTuningJob,
        is_list=True,
        parameters=[AFTER, limit_of(DEFAULT_LIMIT, MAX_LIMIT)],
    )
    def get(self, request: Request) -> Response:
        """Return jobs, newest first. With `metadata[key]=value`, return only those with this pair."""
        rows = list_jobs(self.access)
        for name, value in request.query_params.items():
            pair = METADATA.fullmatch(name)
            if pair:
                is_stored = is_storable(f"{pair[1]}{value}")
                rows = rows.filter(metadata__contains={pair[1]: value}) if is_stored else rows.none()
        if request.query_params.get("metadata") == "null":
            rows = rows.filter(metadata={})
        return self.answer_list(
            rows,
            present_job,
            find=lambda written: find_job(self.access, written, param="after"),
            default_limit=DEFAULT_LIMIT,
            most=MAX_LIMIT,
        )

    @operation(
        "fine_tuning.jobs.create",
        "Create a fine-tuning job",
        scope=WRITES,
        answer=FineTuningJob,
        body=JobBody,
        body_example={"model": "base", "training_file": FILE_ID, "suffix": "my-voice"},
        parameters=[IDEMPOTENCY_KEY],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Create a job. It starts automatically once its files are checked. Its result is a version of the
        style that `suffix` names. By creating it, you state that you have the right to train on the texts."""
        asked = read_job(self.access, self.read_body(JobBody))
        try:
            training = actions.create_job(self.access, asked)
        except StyleRefused as error:
            # The style's names are made of the suffix.
            sentences = next(iter(error.errors.values()))
            raise BadRequest(f"`suffix`: {sentences[0]}", param="suffix") from error
        return Response(present_job(training))


class JobView(TrainingView):
    """One job."""

    @operation("fine_tuning.jobs.get", "Get a fine-tuning job", scope=READS, answer=FineTuningJob)
    def get(self, request: Request, job_id: str) -> Response:
        """Return a job with its current status."""
        return Response(present_job(find_job(self.access, job_id)))


class ActView(TrainingView):
    """A change of a job: each address has one."""

    def change(self, job_id: str, act: Action) -> Response:
        """Change a job, and return it as it is then."""
        act(self.access, find_job(self.access, job_id))
        return Response(present_job(find_job(self.access, job_id)))


class CancelView(ActView):
    """A job's end before its time."""

    @operation(
        "fine_tuning.jobs.cancel",
        "Cancel a fine-tuning job",
        scope=WRITES,
        answer=FineTuningJob,
    )
    @repeatable
    def post(self, request: Request, job_id: str) -> Response:
        """Cancel a job. A running one stops after its current step; completed steps are charged."""
        return self.change(job_id, actions.cancel_training)


class PauseView(ActView):
    """A pause."""

    @operation(
        "fine_tuning.jobs.pause",
        "Pause a fine-tuning job",
        scope=WRITES,
        answer=FineTuningJob,
    )
    @repeatable
    def post(self, request: Request, job_id: str) -> Response:
        """Pause a job. A running one stops after its current step; nothing is lost."""
        return self.change(job_id, actions.pause_training)


class ResumeView(ActView):
    """The end of a pause."""

    @operation(
        "fine_tuning.jobs.resume",
        "Resume a fine-tuning job",
        scope=WRITES,
        answer=FineTuningJob,
    )
    @repeatable
    def post(self, request: Request, job_id: str) -> Response:
        """Queue a paused job again."""
        return self.change(job_id, actions.resume_training)


class EventsView(TrainingView):
    """What happened in a job."""

    @operation(
        "fine_tuning.jobs.events",
        "List a fine-tuning job's events",
        scope=READS,
        answer=FineTuningEvent,
        is_list=True,
        parameters=[AFTER, limit_of(DEFAULT_LIMIT, MAX_LIMIT)],
    )
    def get(self, request: Request, job_id: str) -> Response:
        """Return events, newest first."""
        training = find_job(self.access, job_id)
        rows = TrainingEvent.objects.filter(training=training).exclude(status=Status.DRAFT)

        def find(written: str) -> TrainingEvent:
            event_id = read_id(written, EVENT)
            event = rows.filter(pk=event_id.int).first() if event_id and event_id.int < 2**63 else None
            if event is None:
                raise BadRequest("`after` names no event of this job.", param="after")
            return event

        return self.answer_list(
            rows.select_related("training__version__style__owner"),
            present_event,
            find=find,
            default_limit=DEFAULT_LIMIT,
            most=MAX_LIMIT,
            field="at",
        )


class CheckpointsView(TrainingView):
    """A job's checkpoints that can be used: the best one, which is its model."""

    @operation(
        "fine_tuning.jobs.checkpoints",
        "List a fine-tuning job's checkpoints",
        scope=READS,
        answer=FineTuningCheckpoint,
        is_list=True,
        parameters=[AFTER, limit_of(CHECKPOINTS_LIMIT, MAX_LIMIT)],
    )
    def get(self, request: Request, job_id: str) -> Response:
        """Return the step whose weights became the model, once the job has succeeded."""
        training = find_job(self.access, job_id)
        rows = TrainingEvent.objects.filter(pk__in=_best_event(training))

        def find(written: str) -> TrainingEvent:
            raise BadRequest("`after` names no checkpoint of this job.", param="after")

        return self.answer_list(
            rows.select_related("training__version__style__owner"),
            present_checkpoint,
            find=find,
            default_limit=CHECKPOINTS_LIMIT,
            most=MAX_LIMIT,
            field="at",
        )


def list_jobs(access: Access) -> QuerySet[Training]:
    """Return a workspace's jobs: the trainings that learn from files."""
    jobs = Training.objects.filter(tenant=access.tenant, training_file__isnull=False)
    return jobs.select_related(
        "tenant", "version__style__owner", "training_file", "validation_file", "result_file"
    )


def find_job(access: Access, written: str, *, param: str = "fine_tuning_job_id") -> Training:
    """Return one of the workspace's jobs by its id. Raises NoSuchJob."""
    job_id = read_id(written, JOB)
    training = list_jobs(access).filter(pk=job_id).first() if job_id else None
    if training is None:
        raise NoSuchJob(id=written[:100], param=param)
    return training


def _best_event(training: Training) -> list[int]:
    """Return the event of the step whose weights became the version: its validation loss is the lowest."""
    if training.status != Status.SUCCEEDED or training.version is None:
        return []
    validated = training.events.filter(validation_loss__isnull=False).order_by("validation_loss", "pk")
    learned = training.events.filter(training_loss__isnull=False).order_by("-step")
    best = validated.first() or learned.first()
    return [best.pk] if best else []
