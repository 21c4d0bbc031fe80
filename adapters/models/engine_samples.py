"""How each engine was, minute by minute: the console's own series."""

from django.db import models

from adapters.models.engines import Engine


class EngineSample(models.Model):
    """One engine at a minute. `loads` counts from the beginning: what happened is the difference of two."""

    engine = models.ForeignKey(Engine, on_delete=models.CASCADE, related_name="samples")
    at = models.DateTimeField(help_text="Start of the minute.")
    is_answering = models.BooleanField()
    wanted = models.PositiveIntegerField()
    loaded = models.PositiveIntegerField()
    missing = models.PositiveIntegerField(help_text="Waiting to load.")
    loads = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["engine", "at"], name="one_sample_a_minute")]
        indexes = [models.Index(fields=["at"], name="engine_samples_by_time")]

    def __str__(self) -> str:
        return f"{self.engine_id} at {self.at:%Y-%m-%d %H:%M}"
