"""`/v1/fine_tuning/jobs`: created, listed, followed, paused, cancelled.

https://developers.openai.com/api/reference/resources/fine_tuning
"""

import re

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from adapters.errors import StyleRefused
from core.names import read_id
from inference.openai_views.schema import AFTER, limit_of, operation
from inference.public import BadRequest
from tenants.access import Access
from tenants.models import Scope
from tenants.rest import IDEMPOTENCY_KEY, idempotent, repeatable
from training import actions, file_actions
from training.actions import Action
from training.models import Status, Training, TrainingEvent
from training.openai_api import job_presenters as presenters
from training.openai_api.base import TrainingView
from training.openai_api.errors import NoSuchJob
from training.openai_api.job_forms import JobBody, is_storable, read_job
from training.openai_api.shapes import FILE_ID, FineTuningCheckpoint, FineTuningEvent, FineTuningJob

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
            presenters.present_job,
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
            training = file_actions.create_job(self.access, asked)
        except StyleRefused as error:
            # The style's names are made of the suffix.
            sentences = next(iter(error.errors.values()))
            raise BadRequest(f"`suffix`: {sentences[0]}", param="suffix") from error
        return Response(presenters.present_job(training))


class JobView(TrainingView):
    """One job."""

    @operation("fine_tuning.jobs.get", "Get a fine-tuning job", scope=READS, answer=FineTuningJob)
    def get(self, request: Request, job_id: str) -> Response:
        """Return a job with its current status."""
        return Response(presenters.present_job(find_job(self.access, job_id)))


class ActView(TrainingView):
    """A change of a job: each address has one."""

    def change(self, job_id: str, act: Action) -> Response:
        """Change a job, and return it as it is then."""
        act(self.access, find_job(self.access, job_id))
        return Response(presenters.present_job(find_job(self.access, job_id)))


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
            event_id = read_id(written, presenters.EVENT)
            event = rows.filter(pk=event_id.int).first() if event_id and event_id.int < 2**63 else None
            if event is None:
                raise BadRequest("`after` names no event of this job.", param="after")
            return event

        return self.answer_list(
            rows.select_related("training__version__style__owner"),
            presenters.present_event,
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
            presenters.present_checkpoint,
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
    job_id = read_id(written, presenters.JOB)
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
