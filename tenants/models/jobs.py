"""Tasks of workers that failed: for operators to read and to run again."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models


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
