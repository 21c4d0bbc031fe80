"""What the service had counted, and how it was, at a moment: the console's own series."""

from django.db import models


class ServiceSample(models.Model):
    """The totals of all gateways at a minute. What happened between two samples is their difference."""

    at = models.DateTimeField(unique=True, help_text="Start of the minute.")
    totals = models.JSONField(help_text="Requests, tokens, errors by code, times to first byte by bucket.")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"
