"""Trainings and documents as the API shows them, and as events carry them."""

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers

from core.money import dollars
from core.rest.messages import MessageText
from tenants.metering.trainings import price_at
from training.models import Document, Status, Training, TrainingEvent


class DocumentObject(serializers.Serializer[Document]):
    """A text to learn from."""

    example: ClassVar = {
        "id": "0b0c7f0e-1d1d-4c3c-9a55-6a7f0f3b2c11",
        "object": "training_document",
        "name": "chapter-1.docx",
        "status": "read",
        "size_bytes": 48213,
        "format": "docx",
        "words": 5120,
        "language": "en",
        "removed": {"page_numbers": 14},
        "first_words": "The river had risen in the night …",
        "refusal": "",
        "fix": "",
        "is_left_out": False,
    }

    id = serializers.UUIDField()
    object = serializers.CharField(default="training_document", read_only=True)
    name = serializers.CharField()
    status = serializers.ChoiceField(Document.Status.choices)
    size_bytes = serializers.IntegerField()
    format = serializers.CharField()
    words = serializers.IntegerField()
    language = serializers.CharField(help_text="ISO 639-1 code. Empty if unclear.")
    removed = serializers.DictField(
        child=serializers.IntegerField(), help_text="What was left out while reading, by kind."
    )
    first_words = serializers.CharField(help_text="How the text begins, as we read it.")
    refusal = MessageText(help_text="Why it can't be used. Empty otherwise.")
    fix = MessageText(source="refusal_fix", help_text="What to do about it.")
    is_left_out = serializers.BooleanField()


class TrainingObject(serializers.Serializer[Training]):
    """A training: texts that become a version of a style."""

    example: ClassVar = {
        "id": "8a4d2f4c-6a52-4f0c-bb1f-3f5a5f7f0a10",
        "object": "training",
        "slug": "my-voice",
        "name": "My voice",
        "status": "running",
        "note": "",
        "failure": "",
        "words": 20120,
        "examples": 96,
        "epochs": 3,
        "most_tokens": 91400,
        "most_nanousd": 274200000,
        "most_usd": "0.2742",
        "estimated_s": 540,
        "step": 31,
        "steps": 72,
        "percent": 43,
        "left_s": 301,
        "trained_tokens": 39355,
        "training_loss": 3.104,
        "validation_loss": 3.215,
        "model": None,
        "evaluates": None,
        "keeps_documents": False,
        "created_by": "alice@example.com",
        "created_at": "2026-11-29T10:00:00Z",
        "started_at": "2026-11-29T10:04:00Z",
        "ended_at": None,
    }

    id = serializers.UUIDField()
    object = serializers.CharField(default="training", read_only=True)
    slug = serializers.CharField(help_text="The style's short name, for `model`.")
    name = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)
    note = MessageText(help_text="What the current step is waiting for. May be empty.")
    failure = MessageText(help_text="Why it failed. Empty otherwise.")
    words = serializers.SerializerMethodField()
    examples = serializers.IntegerField()
    epochs = serializers.IntegerField(help_text="Maximum passes over the examples.")
    most_tokens = serializers.IntegerField(
        help_text="The most tokens it can train. 0 before it was prepared."
    )
    most_nanousd = serializers.SerializerMethodField(help_text="The most it can cost, in 10⁻⁹ dollars.")
    most_usd = serializers.SerializerMethodField(help_text="The same, in dollars.")
    estimated_s = serializers.IntegerField(help_text="Estimated seconds of training.")
    step = serializers.IntegerField()
    steps = serializers.IntegerField()
    percent = serializers.IntegerField()
    left_s = serializers.IntegerField(allow_null=True, help_text="Estimated seconds left while it runs.")
    trained_tokens = serializers.IntegerField()
    training_loss = serializers.FloatField(allow_null=True)
    validation_loss = serializers.FloatField(allow_null=True)
    model = serializers.SerializerMethodField(help_text="The value for `model` once it has succeeded.")
    evaluates = serializers.CharField(
        source="evaluated_version.model_name",
        allow_null=True,
        read_only=True,
        default=None,
        help_text="The version that its texts only check: nothing is trained, and it succeeds at once.",
    )
    keeps_documents = serializers.BooleanField(help_text="Whether the texts are kept after the training.")
    created_by = serializers.CharField(
        source="created_by.email",
        allow_null=True,
        read_only=True,
        help_text="A person's address; null: a program.",
    )
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
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

    example: ClassVar = {
        "object": "training_event",
        "at": "2026-11-29T10:06:12Z",
        "status": "",
        "step": 24,
        "training_loss": 3.18,
        "validation_loss": None,
        "is_checkpoint": False,
    }

    object = serializers.CharField(default="training_event", read_only=True)
    at = serializers.DateTimeField()
    status = serializers.CharField(help_text="The status it reached. Empty for losses.")
    step = serializers.IntegerField()
    training_loss = serializers.FloatField(allow_null=True)
    validation_loss = serializers.FloatField(allow_null=True)
    is_checkpoint = serializers.BooleanField()


def present_training(training: Training) -> dict[str, object]:
    """Return a training as the API shows it."""
    return dict(TrainingObject(training).data)


def present_document(document: Document) -> dict[str, Any]:
    """Return a document as the API shows it."""
    return dict(DocumentObject(document).data)


def present_event(event: TrainingEvent) -> dict[str, Any]:
    """Return an event of a training as the API shows it."""
    return dict(TrainingEventObject(event).data)
