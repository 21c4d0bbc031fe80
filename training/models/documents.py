"""Documents: the texts that a training learns from."""

from uuid import uuid4

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.message_fields import MessageField
from training.models.trainings import Training


class DocumentQuerySet(models.QuerySet["Document"]):
    def to_read(self) -> "DocumentQuerySet":
        """Return documents that have arrived but are not read yet, oldest first."""
        return self.filter(status=Document.Status.UPLOADED).order_by("created_at", "pk")

    def learned(self) -> "DocumentQuerySet":
        """Return documents that the training uses, in a stable order."""
        return self.filter(status=Document.Status.READ, is_left_out=False).order_by("created_at", "pk")


class Document(models.Model):
    """One text of a training. The posted file is deleted once it is read; the text is kept."""

    class Status(models.TextChoices):
        UPLOADING = "uploading", _("Uploading")
        UPLOADED = "uploaded", _("Reading")
        READ = "read", _("Read")
        REFUSED = "refused", _("Not usable")

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    training = models.ForeignKey(Training, on_delete=models.CASCADE, related_name="documents")
    name = models.CharField(max_length=200)
    size_bytes = models.BigIntegerField(help_text="As announced.")
    status = models.CharField(max_length=10, choices=Status, default=Status.UPLOADING)
    format = models.CharField(max_length=10, blank=True)
    words = models.PositiveIntegerField(default=0)
    language = models.CharField(max_length=10, blank=True, help_text="ISO 639-1. Empty: unclear.")
    quotation_share = models.FloatField(default=0, help_text="Share of words in quotation marks, 0 to 1.")
    removed = models.JSONField(default=dict, blank=True, help_text="What was removed, by kind: counts.")
    first_words = models.CharField(max_length=300, blank=True, help_text="How it begins, as it was read.")
    text_bytes = models.PositiveIntegerField(default=0, help_text="Bytes of text that are stored.")
    refusal = MessageField(help_text="Why it can't be used.")
    refusal_fix = MessageField(help_text="What to do about it.")
    is_left_out = models.BooleanField(default=False, help_text="Left out of the training by a member.")
    readings = models.PositiveSmallIntegerField(default=0, help_text="How many times its reading began.")
    created_at = models.DateTimeField(default=timezone.now)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["training", "created_at"], name="documents_of_training")]

    def __str__(self) -> str:
        return self.name
