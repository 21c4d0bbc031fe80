"""Files: what programs upload to `/v1/files`, and the tables of results that jobs store there."""

from datetime import datetime
from uuid import uuid4

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.models import Tenant


class FileQuerySet(models.QuerySet["File"]):
    def kept(self, now: datetime) -> "FileQuerySet":
        """Return files that arrived whole and are neither deleted nor expired at a moment."""
        is_current = models.Q(expires_at=None) | models.Q(expires_at__gt=now)
        return self.filter(is_current, arrived_at__isnull=False, deleted_at=None)

    def counted(self) -> "FileQuerySet":
        """Return files whose bytes the plan's storage counts: also those on their way."""
        return self.filter(deleted_at=None)


class File(models.Model):
    """One file of a workspace. Its row outlives it while a job names it."""

    class Purpose(models.TextChoices):
        """What a file is for. Programs get these values, which are OpenAI's."""

        FINE_TUNE = "fine-tune", _("Training")
        RESULTS = "fine-tune-results", _("Training results")

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="files", verbose_name="workspace"
    )
    purpose = models.CharField(max_length=20, choices=Purpose)
    name = models.CharField(max_length=200)
    size_bytes = models.BigIntegerField(default=0, help_text="As announced, until it has arrived.")
    job = models.OneToOneField(
        "training.Training",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="result_file",
        help_text="The training whose figures it holds.",
    )
    created_at = models.DateTimeField(default=timezone.now)
    arrived_at = models.DateTimeField(null=True, blank=True, help_text="Empty: still on its way.")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: kept until it is deleted.")
    deleted_at = models.DateTimeField(null=True, blank=True, help_text="Its content is gone since then.")

    objects = FileQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="files_newest_of_tenant"),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(expires_at__isnull=False, deleted_at=None),
                name="files_that_expire",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        """Its id as programs see it."""
        return f"file-{self.pk.hex}"

    def is_kept(self, now: datetime) -> bool:
        """Return whether its content can be read at a moment."""
        is_current = self.expires_at is None or self.expires_at > now
        return self.arrived_at is not None and self.deleted_at is None and is_current
