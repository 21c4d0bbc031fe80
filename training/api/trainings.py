"""Trainings: create, estimate, start, watch, pause, cancel; and what they check of a version."""

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters.errors import NoEvaluation, VersionNotFound
from adapters.evidence import EvaluationObject, present_evaluation, reads_texts
from adapters.models import MAX_NUMBER, SLUG_CHARACTERS, WORDS_CHARACTERS, AdapterVersion
from core.money import dollars
from core.rest.bodies import StrictSerializer, TextField, choice_query
from core.rest.objects import MessageText, PersonField
from metering.trainings import price_at
from tenants.models import Scope
from tenants.rest import WorkspaceViewSet, described, get, post
from training import actions
from training.errors import TrainingOff
from training.models import MAX_EPOCHS, Status, Training, TrainingEvent


class TrainingObject(serializers.Serializer[Training]):
    """A training: texts that become a version of a style."""

    example = dict(model=None, started_at="2026-11-26T09:34:00Z")

    id = serializers.UUIDField()
    object = serializers.CharField(default="training", read_only=True)
    slug = serializers.CharField(help_text="The style's short name, for `model`.", initial="my-voice")
    name = serializers.CharField(initial="My voice")
    status = serializers.ChoiceField(Status.choices, initial="running")
    note = MessageText(help_text="What the current step is waiting for. May be empty.")
    failure = MessageText(help_text="Why it failed. Empty otherwise.")
    words = serializers.SerializerMethodField(initial=20_120)
    examples = serializers.IntegerField(help_text="Number of examples made from the texts.", initial=96)
    epochs = serializers.IntegerField(help_text="Maximum passes over the examples.", initial=3)
    most_tokens = serializers.IntegerField(
        help_text="The most tokens it can train. 0 before it was prepared.", initial=91_400
    )
    most_nanousd = serializers.SerializerMethodField(
        help_text="The most it can cost, in 10⁻⁹ dollars.", initial=274_200_000
    )
    most_usd = serializers.SerializerMethodField(help_text="The same, in dollars.")
    estimated_s = serializers.IntegerField(help_text="Estimated seconds of training.", initial=540)
    step = serializers.IntegerField(help_text="Steps completed.", initial=31)
    steps = serializers.IntegerField(help_text="Steps of the whole training.", initial=72)
    percent = serializers.IntegerField(help_text="How far the training is, in percent.", initial=43)
    left_s = serializers.IntegerField(
        allow_null=True, help_text="Estimated seconds left while it runs.", initial=301
    )
    trained_tokens = serializers.IntegerField(help_text="Tokens trained so far.", initial=39_355)
    training_loss = serializers.FloatField(allow_null=True, initial=3.104)
    validation_loss = serializers.FloatField(allow_null=True, initial=3.215)
    model = serializers.SerializerMethodField(help_text="The value for `model` once it has succeeded.")
    evaluates = serializers.CharField(
        source="evaluated_version.model_name",
        allow_null=True,
        read_only=True,
        default=None,
        help_text="The version that its texts only check: nothing is trained, and it succeeds at once.",
    )
    keeps_documents = serializers.BooleanField(help_text="Whether the texts are kept after the training.")
    created_by = PersonField("created_by")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True, help_text="When it started. `null` until then.")
    ended_at = serializers.DateTimeField(allow_null=True)

    def get_words(self, training: Training) -> int:
        """Return how many words of its documents it learns from and is checked with."""
        return int(training.report.get("words", 0))

    def get_most_nanousd(self, training: Training) -> int:
        """Return the most that it can cost."""
        return training.most_tokens * price_at(training.tenant, training.started_at or timezone.now())

    def get_most_usd(self, training: Training) -> str:
        """Return the same as a decimal text."""
        return dollars(self.get_most_nanousd(training)) or "0.00"

    def get_model(self, training: Training) -> str | None:
        """Return the version's model name."""
        return training.version.model_name if training.version else None


class TrainingEventObject(serializers.Serializer[TrainingEvent]):
    """A status that a training reached, or its losses at a step."""

    object = serializers.CharField(default="training_event", read_only=True)
    at = serializers.DateTimeField()
    status = serializers.CharField(help_text="The status it reached. Empty for losses.", initial="")
    step = serializers.IntegerField(help_text="Number of the training step.", initial=24)
    training_loss = serializers.FloatField(allow_null=True, initial=3.18)
    validation_loss = serializers.FloatField(allow_null=True)
    is_checkpoint = serializers.BooleanField(help_text="Whether the weights of this step were kept.")


class NewTrainingBody(StrictSerializer):
    """A new training."""

    slug = TextField(
        max_length=SLUG_CHARACTERS,
        help_text="The style's short name, for `model`. May be an existing style.",
        initial="my-voice",
    )
    name = TextField(
        max_length=WORDS_CHARACTERS["name"], help_text="The style's name, for people.", initial="My voice"
    )
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
        help_text="`true`: the texts are yours, or you have the right to train on them.", initial=True
    )
    keep_documents = serializers.BooleanField(
        required=False, default=False, help_text="Keep the texts for more than 30 days after the training."
    )


class NewEvaluationBody(StrictSerializer):
    """The version to check."""

    style = TextField(
        max_length=SLUG_CHARACTERS, help_text="The short name of one of your own styles.", initial="my-voice"
    )  # type: ignore[assignment]
    version = serializers.IntegerField(min_value=1, max_value=MAX_NUMBER, initial=3)


class TrainingApiViewSet(WorkspaceViewSet):
    """Operations on trainings, or on what belongs to them, where this service trains."""

    tag = "trainings"
    scope = Scope.STYLES_WRITE
    read_scope = Scope.STYLES_READ
    queryset = Training.objects.select_related(
        "tenant", "created_by", "version__style__owner", "evaluated_version__style__owner"
    )
    lookup_url_kwarg = "training_id"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raise TrainingOff where this service trains nothing."""
        super().initial(request, *args, **kwargs)
        if not settings.TRAINING:
            raise TrainingOff

    def training(self) -> Training:
        """Return the training of the address as it is now. Raises Http404."""
        rows: QuerySet[Training] = self.queryset.filter(tenant=self.access.tenant)
        return get_object_or_404(rows, pk=self.kwargs["training_id"])


class TrainingViewSet(TrainingApiViewSet):
    """Trainings."""

    noun, nouns = "training", "trainings"
    reads = {
        "list": "Return trainings, newest first.",
        "retrieve": ("Return a training.", {"summary": "Get a training and its progress"}),
    }
    serializer_class = TrainingObject
    new_body = NewTrainingBody
    query = choice_query("status", Status.choices)

    def create(self, body: dict[str, Any]) -> Training:
        """Return a new training. Add documents to it, then request an estimate."""
        return actions.create_training(self.access, **body)

    @described(summary="Delete a training and its texts", is_repeatable=True)
    def destroy(self, training: Training) -> None:
        """Delete a training that is not in progress. The version that came of it stays."""
        actions.delete_training(self.access, training)

    @post(
        "Create an evaluation draft", detail=False, url_path="evaluations", body=NewEvaluationBody, status=201
    )
    def create_evaluation(self, body: dict[str, Any]) -> Training:
        """Return a draft for texts that check a version. Add texts by its author and request an estimate, as
        for a training. Once it is `ready`, start the check with `trainings.evaluate`. Nothing is trained, and
        it's free."""
        versions = AdapterVersion.objects.select_related("style__owner")
        own = versions.filter(style__owner=self.access.tenant, style__retired_at=None)
        if self.access.key and self.access.key.styles:
            own = own.filter(style__in=self.access.key.styles)
        version = own.filter(style__slug=body["style"], number=body["version"]).first()
        if version is None:
            raise VersionNotFound(number=body["version"])
        return actions.create_evaluation(self.access, version)

    @post("Estimate a training's cost and time", is_repeatable=True)
    def estimate(self, training: Training) -> None:
        """Prepare the examples, then estimate cost and time. The training is `ready` once `most_usd` and
        `estimated_s` are known; if its texts are too short, it is a `draft` again and `note` says so."""
        actions.prepare_training(self.access, training)

    @post("Start a training", body=StartBody, is_repeatable=True)
    def start(self, training: Training, body: dict[str, bool]) -> None:
        """Reserve `most_usd` and queue the training. Completed steps are charged, never more than that."""
        keeps = body["keep_documents"]
        actions.start_training(self.access, training, states_rights=body["rights"], keeps_documents=keeps)

    @post("Pause a training", is_repeatable=True)
    def pause(self, training: Training) -> None:
        """Stop after the current step. Nothing is lost: resume it to continue."""
        actions.pause_training(self.access, training)

    @post("Resume a paused training", is_repeatable=True)
    def resume(self, training: Training) -> None:
        """Queue a paused training again."""
        actions.resume_training(self.access, training)

    @post("Cancel a training", is_repeatable=True)
    def cancel(self, training: Training) -> None:
        """Cancel a training. It stops after the current step, and completed steps are charged."""
        actions.cancel_training(self.access, training)

    @get("Get a training's evaluation", answer=EvaluationObject)
    def evaluation(self, training: Training) -> Response:
        """Return the last evaluation with a training's texts."""
        if training.evaluation is None:
            version = training.evaluated_version or training.version
            raise NoEvaluation(number=version.number if version else 0)
        has_texts = reads_texts(self.access, training.evaluation.version.style)
        return self.answer_object(present_evaluation(training.evaluation, has_texts=has_texts))

    @post(
        "Check a version with a training's texts",
        url_path="evaluation",
        answer=EvaluationObject,
        is_repeatable=True,
    )
    def evaluate(self, training: Training) -> Response:
        """Start the check of a draft that is `ready`, or repeat the check after a training. If one is in
        progress, return it. It's free, up to 20 a day."""
        evaluation = actions.request_evaluation(self.access, training)
        has_texts = reads_texts(self.access, evaluation.version.style)
        return self.answer_object(present_evaluation(evaluation, has_texts=has_texts))


class EventViewSet(TrainingApiViewSet):
    """What happened in a training."""

    nouns = "a training's events and losses"
    reads = {"list": ("Return events, newest first.", {"name": "events"})}
    serializer_class = TrainingEventObject
    ordering = ("-at", "-pk")

    def get_queryset(self) -> QuerySet[TrainingEvent]:
        return TrainingEvent.objects.filter(training=self.training())
