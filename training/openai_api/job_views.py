"""`/v1/fine_tuning/jobs`: created, listed, followed, paused, cancelled.

https://developers.openai.com/api/reference/resources/fine_tuning
"""

import re
from collections.abc import Callable

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from inference.public import BadRequest
from tenants.models import Scope
from tenants.public import Access
from tenants.rest import idempotent, repeatable
from training import actions, file_actions
from training.models import Status, Training, TrainingEvent
from training.openai_api import job_presenters as presenters
from training.openai_api.base import OpenAiView, for_keys_that, read_id
from training.openai_api.errors import NoSuchJob
from training.openai_api.job_forms import JobBody, read_job

METADATA = re.compile(r"metadata\[(.{1,64})\]")
DEFAULT_LIMIT, MAX_LIMIT = 20, 100
CHECKPOINTS_LIMIT = 10

type Act = Callable[[Access, Training], None]


class JobsView(OpenAiView):
    """All jobs, and new ones."""

    @for_keys_that(Scope.STYLES_READ)
    def get(self, request: Request) -> Response:
        """Return jobs, the newest first; `metadata[k]=v` keeps those with a pair."""
        rows = list_jobs(self.access)
        for name, value in request.query_params.items():
            pair = METADATA.fullmatch(name)
            if pair:
                rows = rows.filter(metadata__contains={pair[1]: value})
        if request.query_params.get("metadata") == "null":
            rows = rows.filter(metadata={})
        return self.answer_list(
            rows,
            presenters.present_job,
            find=lambda written: find_job(self.access, written, param="after"),
            default_limit=DEFAULT_LIMIT,
            most=MAX_LIMIT,
        )

    @for_keys_that(Scope.STYLES_WRITE)
    @idempotent
    def post(self, request: Request) -> Response:
        """Return a new job. It starts by itself once its files are checked."""
        training = file_actions.create_job(self.access, read_job(self.access, self.read_body(JobBody)))
        return Response(presenters.present_job(training))


class JobView(OpenAiView):
    """One job."""

    @for_keys_that(Scope.STYLES_READ)
    def get(self, request: Request, job_id: str) -> Response:
        """Return a job."""
        return Response(presenters.present_job(find_job(self.access, job_id)))


class ActView(OpenAiView):
    """A change of a job: each address has one."""

    act: Act | None = None

    @for_keys_that(Scope.STYLES_WRITE)
    @repeatable
    def post(self, request: Request, job_id: str) -> Response:
        """Change a job, and return it as it is then."""
        training = find_job(self.access, job_id)
        assert self.act
        self.act(self.access, training)
        return Response(presenters.present_job(find_job(self.access, job_id)))


class CancelView(ActView):
    """A job's end before its time: completed steps are charged."""

    act = staticmethod(actions.cancel_training)


class PauseView(ActView):
    """A pause."""

    act = staticmethod(actions.pause_training)


class ResumeView(ActView):
    """The end of a pause."""

    act = staticmethod(actions.resume_training)


class EventsView(OpenAiView):
    """What happened in a job."""

    @for_keys_that(Scope.STYLES_READ)
    def get(self, request: Request, job_id: str) -> Response:
        """Return events, the newest first."""
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


class CheckpointsView(OpenAiView):
    """A job's checkpoints that can be used: the best one, which is its model."""

    @for_keys_that(Scope.STYLES_READ)
    def get(self, request: Request, job_id: str) -> Response:
        """Return the checkpoint that became the model, once there is one."""
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
