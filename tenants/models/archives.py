"""Months whose usage events were archived: where they are, and the sums that they had."""

from typing import Self

from django.db import models

from tenants.models.people import Tenant


class UsageArchiveQuerySet(models.QuerySet["UsageArchive"]):
    """Questions about archived months."""

    def gone(self) -> Self:
        """Return the months whose events are no longer in the database."""
        return self.filter(state__in=(UsageArchive.State.DETACHED, UsageArchive.State.ARCHIVED))

    def unfinished(self) -> Self:
        """Return the months that are to be archived, or are on their way."""
        return self.exclude(state=UsageArchive.State.ARCHIVED)


class UsageArchive(models.Model):
    """One month's usage events as a file in the bucket. Its ledger entries stay in the database."""

    class State(models.TextChoices):
        EXPORTING = "exporting"
        EXPORTED = "exported", "exported and verified"
        DETACHED = "detached", "detached, table not yet dropped"
        ARCHIVED = "archived"

    period = models.CharField(max_length=7, unique=True, help_text="Month in UTC, such as 2026-08.")
    state = models.CharField(max_length=12, choices=State, default=State.EXPORTING)
    object_key = models.CharField(max_length=120, help_text="The gzipped CSV in the bucket.")
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of that file.")
    events = models.BigIntegerField(default=0, help_text="Including workspaces without usage.")
    tokens = models.BigIntegerField(default=0)
    cost_nanousd = models.BigIntegerField(default=0)
    reason = models.CharField(
        max_length=300,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="The operator's reason. Archives with a reason are created by a worker.",
    )
    problem = models.CharField(
        max_length=300,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Why the worker failed. It retries when an operator requests it.",
    )
    begun_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = UsageArchiveQuerySet.as_manager()

    class Meta:
        ordering = ["-period"]

    def __str__(self) -> str:
        return f"Usage events of {self.period}"


class ArchivedUsage(models.Model):
    """What one workspace used of a style and meter at one price, in the events of an archived month."""

    archive = models.ForeignKey(UsageArchive, on_delete=models.PROTECT, related_name="usage")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="archived_usage")
    style_name = models.CharField(max_length=100)
    meter = models.CharField(max_length=12)
    unit_nanousd = models.BigIntegerField()
    tokens = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["archive", "tenant", "style_name", "meter", "unit_nanousd"],
                name="archived_usage_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.style_name}, {self.meter}"


class ArchivedShare(models.Model):
    """What one workspace's requests of a style earned its author, in the events of an archived month."""

    archive = models.ForeignKey(UsageArchive, on_delete=models.PROTECT, related_name="shares")
    author = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", help_text="Who earned.")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", help_text="Who used it.")
    style = models.UUIDField()
    share_nanousd = models.BigIntegerField(help_text="Percentage of each request's cost, rounded down.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["archive", "author", "tenant", "style"], name="archived_share_once"
            )
        ]

    def __str__(self) -> str:
        return f"share of {self.style}"
