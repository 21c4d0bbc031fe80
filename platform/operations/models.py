"""What operators' tools keep in the database: sample data, failed tasks, samples of the service."""

from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from tenants.models import Tenant


class SampleData(models.Model):
    """The demo's sample workspace, and the people who were made up for it.

    Its row stays after the removal, so that a later seed doesn't bring the data back.
    """

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="+")
    user_ids = ArrayField(models.BigIntegerField(), help_text="Accounts that nobody can log in to.")
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "sample data"

    def __str__(self) -> str:
        return f"Sample data in {self.tenant}"


class FailedTask(models.Model):
    """A task that failed with some arguments: one row, however often it did."""

    task = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, editable=False, help_text="Of its arguments.")
    args = models.JSONField(default=list, encoder=DjangoJSONEncoder, help_text="Ids; secrets are masked.")
    kwargs = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    is_masked = models.BooleanField(
        default=False, help_text="Some arguments were hidden, so it can't be run again."
    )
    queue = models.CharField(max_length=80, blank=True)
    error = models.CharField(max_length=500)
    traceback = models.TextField(blank=True)
    times = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)
    retried_at = models.DateTimeField(null=True, blank=True, help_text="When an operator last ran it again.")

    class Meta:
        verbose_name = "failed job"
        constraints = [models.UniqueConstraint(fields=["task", "digest"], name="one_row_a_failing_task")]

    def __str__(self) -> str:
        return f"{self.task}({', '.join(map(str, self.args))})"


class ServiceSample(models.Model):
    """The totals of all gateways at a minute. What happened between two samples is their difference."""

    at = models.DateTimeField(unique=True, help_text="Start of the minute.")
    totals = models.JSONField(help_text="Requests, tokens, errors by code, times to first byte by bucket.")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"
