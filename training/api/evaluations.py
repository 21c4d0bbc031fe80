"""Evaluations: drafts whose texts check a version, and the checks themselves."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters.errors import NoEvaluation, VersionNotFound
from adapters.evidence import EvaluationObject, present_evaluation, reads_texts
from adapters.models import AdapterVersion
from core.rest.bodies import StrictSerializer, TextField
from tenants.rest import idempotent, repeatable
from training import actions
from training.api.base import TrainingApiView, find_training, read_operation, write_operation
from training.api.presenters import TrainingObject


class NewEvaluationBody(StrictSerializer):
    """The version to check."""

    style = TextField(max_length=40, help_text="The short name of one of your own styles.")  # type: ignore[assignment]
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class NewEvaluationView(TrainingApiView):
    """New drafts whose texts check a version."""

    @write_operation(
        "trainings.create_evaluation",
        "Create an evaluation draft",
        body=NewEvaluationBody,
        answer=TrainingObject,
        status=201,
        is_post=True,
        body_example={"style": "my-voice", "version": 3},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Return a draft for texts that check a version. Add texts by its author and request an estimate, as
        for a training. Once it is `ready`, start the check with `trainings.evaluate`. Nothing is trained, and
        it's free."""
        body = self.read_body(NewEvaluationBody)
        versions = AdapterVersion.objects.select_related("style__owner")
        own = versions.filter(style__owner=self.access.tenant, style__retired_at=None)
        if self.access.key and self.access.key.styles:
            own = own.filter(style__in=self.access.key.styles)
        version = own.filter(style__slug=body["style"], number=body["version"]).first()
        if version is None:
            raise VersionNotFound(number=body["version"])
        return self.answer_training(actions.create_evaluation(self.access, version), status=201)


class EvaluationView(TrainingApiView):
    """The evaluation with a training's texts."""

    @read_operation("trainings.evaluation", "Get a training's evaluation", answer=EvaluationObject)
    def get(self, request: Request, training_id: UUID) -> Response:
        """Return the last evaluation with a training's texts."""
        return self._answer(training_id)

    @write_operation(
        "trainings.evaluate",
        "Check a version with a training's texts",
        answer=EvaluationObject,
        is_post=True,
    )
    @repeatable
    def post(self, request: Request, training_id: UUID) -> Response:
        """Start the check of a draft that is `ready`, or repeat the check after a training. If one is in
        progress, return it. It's free, up to 20 a day."""
        actions.request_evaluation(self.access, find_training(self.access, training_id))
        return self._answer(training_id)

    def _answer(self, training_id: UUID) -> Response:
        training = find_training(self.access, training_id)
        if training.evaluation is None:
            version = training.evaluated_version or training.version
            raise NoEvaluation(number=version.number if version else 0)
        has_texts = reads_texts(self.access, training.evaluation.version.style)
        return self.answer_object(present_evaluation(training.evaluation, has_texts=has_texts))
