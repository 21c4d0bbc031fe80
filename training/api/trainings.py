"""Trainings: create, estimate, start, watch, pause, cancel."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.bodies import StrictSerializer, TextField
from tenants.rest import idempotent, repeatable
from training import actions
from training.api.base import TrainingApiView, find_training, read_operation, write_operation
from training.api.presenters import TrainingEventObject, TrainingObject, present_event, present_training
from training.models import Status, Training, TrainingEvent
from training.models.trainings import MAX_EPOCHS


class NewTrainingBody(StrictSerializer):
    """A new training."""

    slug = TextField(
        max_length=40, help_text="The style's short name, for `model`. May be an existing style."
    )
    name = TextField(max_length=60, help_text="The style's name, for people.")
    epochs = serializers.IntegerField(
        required=False,
        default=MAX_EPOCHS,
        min_value=1,
        max_value=MAX_EPOCHS,
        help_text="Maximum passes over the examples. It stops earlier once another one would not help.",
    )


class StartBody(StrictSerializer):
    """The consent to a training."""

    rights = serializers.BooleanField(
        help_text="`true`: the texts are yours, or you have the right to train on them."
    )
    keep_documents = serializers.BooleanField(
        required=False, default=False, help_text="Keep the texts for more than 30 days after the training."
    )


class TrainingsQuery(StrictSerializer):
    """Which trainings."""

    status = serializers.ChoiceField(Status.choices, required=False, help_text="Filter by status.")


class TrainingsView(TrainingApiView):
    """All trainings, and new ones."""

    @read_operation(
        "trainings.list", "List trainings", query=TrainingsQuery, answer=TrainingObject, is_page=True
    )
    def get(self, request: Request) -> Response:
        """Return trainings, newest first."""
        rows = Training.objects.filter(tenant=self.access.tenant, **self.read_query(TrainingsQuery))
        found = rows.select_related(
            "tenant", "created_by", "version__style__owner", "evaluated_version__style__owner"
        )
        return self.answer_page(found, lambda page: [present_training(row) for row in page])

    @write_operation(
        "trainings.create",
        "Create a training",
        body=NewTrainingBody,
        answer=TrainingObject,
        status=201,
        is_post=True,
        body_example={"slug": "my-voice", "name": "My voice"},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Return a new training. Add documents to it, then request an estimate."""
        training = actions.create_training(self.access, **self.read_body(NewTrainingBody))
        return self.answer_training(training, status=201)


class TrainingView(TrainingApiView):
    """One training."""

    @read_operation("trainings.get", "Get a training and its progress", answer=TrainingObject)
    def get(self, request: Request, training_id: UUID) -> Response:
        """Return a training."""
        return self.answer_training(find_training(self.access, training_id))

    @write_operation("trainings.delete", "Delete a training and its texts", status=204, is_change=True)
    def delete(self, request: Request, training_id: UUID) -> Response:
        """Delete a training that is not in progress. The version that came of it stays."""
        actions.delete_training(self.access, find_training(self.access, training_id))
        return Response(status=204)


class EstimateView(TrainingApiView):
    """The preparation of a training."""

    @write_operation(
        "trainings.estimate",
        "Estimate a training's cost and time",
        answer=TrainingObject,
        is_post=True,
    )
    @repeatable
    def post(self, request: Request, training_id: UUID) -> Response:
        """Prepare the examples, then estimate cost and time. The training is `ready` once `most_usd` and
        `estimated_s` are known; if its texts are too short, it is a `draft` again and `note` says so."""
        return self.act(training_id, actions.prepare_training)


class StartView(TrainingApiView):
    """The start of a training."""

    @write_operation(
        "trainings.start",
        "Start a training",
        body=StartBody,
        answer=TrainingObject,
        is_post=True,
        body_example={"rights": True},
    )
    @repeatable
    def post(self, request: Request, training_id: UUID) -> Response:
        """Reserve `most_usd` and queue the training. Completed steps are charged, never more than that."""
        training = find_training(self.access, training_id)
        body = self.read_body(StartBody)
        actions.start_training(
            self.access,
            training,
            states_rights=body["rights"],
            keeps_documents=body["keep_documents"],
        )
        return self.answer_training(training)


class PauseView(TrainingApiView):
    """A pause."""

    @write_operation("trainings.pause", "Pause a training", answer=TrainingObject, is_post=True)
    @repeatable
    def post(self, request: Request, training_id: UUID) -> Response:
        """Stop after the current step. Nothing is lost: resume it to continue."""
        return self.act(training_id, actions.pause_training)


class ResumeView(TrainingApiView):
    """The end of a pause."""

    @write_operation("trainings.resume", "Resume a paused training", answer=TrainingObject, is_post=True)
    @repeatable
    def post(self, request: Request, training_id: UUID) -> Response:
        """Queue a paused training again."""
        return self.act(training_id, actions.resume_training)


class CancelView(TrainingApiView):
    """A training's end before its time."""

    @write_operation("trainings.cancel", "Cancel a training", answer=TrainingObject, is_post=True)
    @repeatable
    def post(self, request: Request, training_id: UUID) -> Response:
        """Cancel a training. It stops after the current step, and completed steps are charged."""
        return self.act(training_id, actions.cancel_training)


class EventsView(TrainingApiView):
    """What happened in a training."""

    @read_operation(
        "trainings.events",
        "List a training's events and losses",
        answer=TrainingEventObject,
        is_page=True,
    )
    def get(self, request: Request, training_id: UUID) -> Response:
        """Return events, newest first."""
        rows = TrainingEvent.objects.filter(training=find_training(self.access, training_id))
        return self.answer_page(rows, lambda page: [present_event(row) for row in page])

    def order_by(self, request: Request) -> tuple[str, ...]:
        """Return the order of the list."""
        return ("-at", "-pk")
