"""The shapes of OpenAI's objects, as the OpenAPI document describes them."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from drf_spectacular.drainage import set_override
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request

from core.errors import Invalid, NotFound, Unavailable
from core.rest.bodies import StrictSerializer
from inference.openai_views.base import OpenAiView
from inference.public import FieldError, UnknownPath

# What the views of files and jobs share.


class TrainingView(OpenAiView):
    """A view of files or jobs, which are there only where the service trains."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer as any unknown address where this service trains nothing."""
        if not settings.TRAINING:
            raise UnknownPath
        super().initial(request, *args, **kwargs)


# What only this API refuses.


class NoSuchFile(FieldError, NotFound):
    """No such File object: {id}"""

    code = "not_found"


class NoSuchJob(FieldError, NotFound):
    """Could not find fine-tune: {id}"""

    code = "fine_tune_not_found"


class NotFineTunable(FieldError, Invalid):
    """The model `{model}` can't be fine-tuned. Use `base`."""

    code = "model_not_available"


class UploadTooSlow(Invalid):
    """The file came too slowly, at less than {rate} KiB per second. Check your connection and try again."""


class TooManyUploads(Unavailable):
    """Too many files are being uploaded at the moment. Try again shortly."""

    code = "server_is_overloaded"


# How a job learns: what it is asked for, and shown with.

AUTO = "auto"
SUPERVISED = "supervised"


class AutoField(serializers.Field[Any, Any, Any, Any]):
    """A number within bounds, or `auto`."""

    def __init__(self, *, kind: type[int] | type[float], least: float, most: float) -> None:
        super().__init__(required=False, allow_null=True)
        number = {"type": "integer" if kind is int else "number", "minimum": least, "maximum": most}
        set_override(self, "field", {"oneOf": [{"type": "string", "enum": [AUTO]}, number]})
        self._kind = kind
        self._least = least
        self._most = most

    def to_internal_value(self, data: Any) -> int | float | str:
        """Return the number, or `auto`. Raises ValidationError."""
        if data == AUTO:
            return AUTO
        is_number = isinstance(data, int | self._kind) and not isinstance(data, bool)
        if not is_number or not self._least <= data <= self._most:
            raise serializers.ValidationError(f"Must be `auto`, or between {self._least} and {self._most}.")
        return self._kind(data)

    def to_representation(self, value: Any) -> Any:
        """Return the value as it is."""
        return value


class HyperparametersBody(StrictSerializer):
    """How a job learns."""

    n_epochs = AutoField(kind=int, least=1, most=50)
    batch_size = AutoField(kind=int, least=1, most=256)
    learning_rate_multiplier = AutoField(kind=float, least=0.01, most=10)


class SupervisedBody(StrictSerializer):
    """The settings of the only method that there is."""

    hyperparameters = HyperparametersBody(required=False, allow_null=True)


class MethodBody(StrictSerializer):
    """How a job learns."""

    type = serializers.ChoiceField([SUPERVISED])
    supervised = SupervisedBody(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        """Return the checked values. Raises ValidationError, for another method before its own fields."""
        if isinstance(data, dict) and data.get("type", SUPERVISED) != SUPERVISED:
            raise serializers.ValidationError(
                {"type": [f"Only `{SUPERVISED}` is available here: send pairs of prompts and answers."]}
            )
        return super().to_internal_value(data)


MODEL = "acme/my-voice@1"
JOB_ID = "ftjob-8a4d2f4c6a524f0cbb1f3f5a5f7f0a10"
FILE_ID = "file-0b0c7f0e1d1d4c3c9a556a7f0f3b2c11"
HYPERPARAMETERS = {"n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": "auto"}
METRICS = {"step": 24, "total_steps": 72, "train_loss": 3.18}


SHORTEST_EXPIRY_S, LONGEST_EXPIRY_S = 3_600, 2_592_000
ANCHOR, SECONDS = "expires_after[anchor]", "expires_after[seconds]"


@extend_schema_field(OpenApiTypes.BINARY)
class ContentField(serializers.FileField):
    """A file's bytes."""


NEW_FILE = inline_serializer(
    "NewFile",
    {
        "file": ContentField(),
        "purpose": serializers.CharField(help_text="Always `fine-tune`."),
        ANCHOR: serializers.CharField(required=False, help_text="Always `created_at`."),
        SECONDS: serializers.IntegerField(
            required=False, min_value=SHORTEST_EXPIRY_S, max_value=LONGEST_EXPIRY_S
        ),
    },
)


class JobStatus(models.TextChoices):
    """Where a job is."""

    VALIDATING_FILES = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StoredFile(serializers.Serializer[Any]):
    """A file: conversations to learn, or what a job reports."""

    example: ClassVar = {
        "id": FILE_ID,
        "object": "file",
        "bytes": 48213,
        "created_at": 1795600000,
        "expires_at": None,
        "filename": "chats.jsonl",
        "purpose": "fine-tune",
        "status": "processed",
        "status_details": None,
    }

    id = serializers.CharField()
    object = serializers.CharField(help_text="Always `file`.")
    bytes = serializers.IntegerField(help_text="Size in bytes.")
    created_at = serializers.IntegerField(help_text="Unix time in seconds.")
    expires_at = serializers.IntegerField(
        allow_null=True, help_text="Unix time in seconds. `null`: it is kept until you delete it."
    )
    filename = serializers.CharField(help_text="The file's name.")
    purpose = serializers.CharField(help_text="`fine-tune`, or `fine-tune-results` for a job's losses.")
    status = serializers.CharField(help_text="Always `processed`.")
    status_details = serializers.CharField(allow_null=True, help_text="Always `null`.")


class DeletedFile(serializers.Serializer[Any]):
    """A file that is gone."""

    example: ClassVar = {"id": FILE_ID, "object": "file", "deleted": True}

    id = serializers.CharField()
    object = serializers.CharField(help_text="Always `file`.")
    deleted = serializers.BooleanField()


class FineTuningFailure(serializers.Serializer[Any]):
    """Why a job failed."""

    code = serializers.CharField()
    message = serializers.CharField()
    param = serializers.CharField(allow_null=True, help_text="The field of the job that names the bad file.")


class FineTuningMetrics(serializers.Serializer[Any]):
    """Losses at a step."""

    step = serializers.IntegerField(required=False, help_text="Number of the training step.")
    total_steps = serializers.IntegerField(required=False, help_text="Steps of the whole training.")
    train_loss = serializers.FloatField(required=False, help_text="Loss on the training texts.")
    valid_loss = serializers.FloatField(required=False, help_text="Loss on the held-out texts.")


class FineTuningJob(serializers.Serializer[Any]):
    """A job: a file of conversations that becomes a version of a style."""

    example: ClassVar = {
        "id": JOB_ID,
        "object": "fine_tuning.job",
        "created_at": 1795600000,
        "finished_at": 1795600540,
        "model": "base",
        "fine_tuned_model": MODEL,
        "organization_id": "acme",
        "status": "succeeded",
        "training_file": FILE_ID,
        "validation_file": None,
        "result_files": ["file-5c1f7f0e1d1d4c3c9a556a7f0f3b2c12"],
        "hyperparameters": HYPERPARAMETERS,
        "method": {"type": "supervised", "supervised": {"hyperparameters": HYPERPARAMETERS}},
        "seed": 7,
        "trained_tokens": 39355,
        "estimated_finish": None,
        "error": None,
        "integrations": [],
        "metadata": {"book": "second"},
    }

    id = serializers.CharField()
    object = serializers.CharField(help_text="Always `fine_tuning.job`.")
    created_at = serializers.IntegerField(help_text="Unix time in seconds.")
    finished_at = serializers.IntegerField(allow_null=True, help_text="Unix time in seconds.")
    model = serializers.CharField(help_text="The base model.")
    fine_tuned_model = serializers.CharField(
        allow_null=True, help_text="The new version, for `model`, once the job has succeeded."
    )
    organization_id = serializers.CharField(help_text="The workspace's slug.")
    status = serializers.ChoiceField(JobStatus.choices)
    training_file = serializers.CharField()
    validation_file = serializers.CharField(allow_null=True)
    result_files = serializers.ListField(
        child=serializers.CharField(), help_text="The losses as CSV, once the job has succeeded."
    )
    hyperparameters = HyperparametersBody()
    method = MethodBody(help_text="How it is trained.")
    seed = serializers.IntegerField()
    trained_tokens = serializers.IntegerField(allow_null=True, help_text="Set when the job ends.")
    estimated_finish = serializers.IntegerField(
        allow_null=True, help_text="Unix time in seconds, while the job runs."
    )
    error = FineTuningFailure(allow_null=True)
    integrations = serializers.ListField(child=serializers.DictField(), help_text="Always empty.")
    metadata = serializers.DictField(child=serializers.CharField())


class FineTuningEvent(serializers.Serializer[Any]):
    """What happened in a job."""

    example: ClassVar = {
        "id": "ftevent-0000000000000000000000000000002a",
        "object": "fine_tuning.job.event",
        "created_at": 1795600300,
        "level": "info",
        "message": "Step 24/72: train_loss=3.1800",
        "type": "metrics",
        "data": METRICS,
    }

    id = serializers.CharField()
    object = serializers.CharField(help_text="Always `fine_tuning.job.event`.")
    created_at = serializers.IntegerField(help_text="Unix time in seconds.")
    level = serializers.CharField(help_text="`info` or `error`.")
    message = serializers.CharField()
    type = serializers.CharField(help_text="`message`, or `metrics` if `data` has losses.")
    data = FineTuningMetrics()  # type: ignore[assignment]


class FineTuningCheckpoint(serializers.Serializer[Any]):
    """The step whose weights became the model."""

    example: ClassVar = {
        "id": "ftckpt-0000000000000000000000000000002b",
        "object": "fine_tuning.job.checkpoint",
        "created_at": 1795600500,
        "fine_tuned_model_checkpoint": MODEL,
        "fine_tuning_job_id": JOB_ID,
        "step_number": 72,
        "metrics": METRICS | {"step": 72, "valid_loss": 3.21},
    }

    id = serializers.CharField()
    object = serializers.CharField(help_text="Always `fine_tuning.job.checkpoint`.")
    created_at = serializers.IntegerField(help_text="Unix time in seconds.")
    fine_tuned_model_checkpoint = serializers.CharField(allow_null=True, help_text="The value for `model`.")
    fine_tuning_job_id = serializers.CharField(help_text="Id of the job.")
    step_number = serializers.IntegerField(help_text="Number of the training step.")
    metrics = FineTuningMetrics(help_text="Losses at this step.")
