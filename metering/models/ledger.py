"""Usage and its cost, with what comes of it: authors' earnings, hosted styles, holds of trainings, refusals.

Every number on a page is derived from these rows.
"""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from core.message_fields import MessageField
from tenants.models.keys import ApiKey
from tenants.models.people import Tenant


class UsageEvent(models.Model):
    """One served request, recorded once. The engine counted the tokens.

    The table is partitioned by `period` (metering/partitions.py), so the database's primary key and
    the unique request id have the period in them. That a request is billed once, in whatever month, is the
    ledger's own constraint.
    """

    class Outcome(models.TextChoices):
        COMPLETE = "complete", _("Complete")
        CLIENT_DISCONNECT = "client_disconnect", _("client disconnected")
        UPSTREAM_ERROR = "upstream_error", _("engine failed")
        SWEPT = "swept", _("recovered after a crash")

    request_id = models.CharField(max_length=40)
    # Without indexes of their own: those below begin with them.
    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.PROTECT,
        related_name="usage_events",
        verbose_name="workspace",
        db_index=False,
    )
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="usage_events", db_index=False)
    style = models.UUIDField(null=True, help_text="Empty: the base model.")
    style_name = models.CharField(max_length=100)
    version_number = models.PositiveIntegerField(null=True)
    adapter_sha256 = models.CharField(max_length=64, blank=True)
    base_model = models.CharField(max_length=100)
    engine = models.CharField(max_length=60)
    period = models.CharField(max_length=7, help_text="Month of admission (UTC), such as 2026-11.")
    admitted_at = models.DateTimeField()
    prompt_tokens = models.PositiveIntegerField()
    cached_tokens = models.PositiveIntegerField(default=0, help_text="Cached tokens of the prompt.")
    completion_tokens = models.PositiveIntegerField()
    finish_reason = models.CharField(max_length=30, blank=True)  # the engine's, or `empty`
    outcome = models.CharField(max_length=20, choices=Outcome)
    watermark = models.CharField(
        max_length=40, blank=True, db_default="", help_text="Such as gumbel; epoch=3, or none; reason=greedy."
    )
    # By which a receipt names the answer. In hex: half the bytes would make the export and the drain convert.
    text_sha256 = models.CharField(max_length=64, blank=True, db_default="", editable=False)
    # Its receipt says so: whoever asked could choose the words.
    constrained = models.CharField(
        max_length=60,
        blank=True,
        db_default="",
        help_text="Fields of the request that prescribed the text, such as echo logit_bias.",
    )
    input_nanousd = models.BigIntegerField(help_text="Price per token.")
    cached_input_nanousd = models.BigIntegerField()
    output_nanousd = models.BigIntegerField()
    cost_nanousd = models.BigIntegerField()
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-admitted_at", "-id"], name="usage_newest_of_tenant"),
            models.Index(fields=["style", "-admitted_at"], name="usage_of_style"),
            # For the workspace's own log, by each of its filters.
            models.Index(fields=["tenant", "style_name", "-admitted_at", "-id"], name="usage_newest_of_name"),
            models.Index(fields=["key", "-admitted_at", "-id"], name="usage_newest_of_key"),
            models.Index(
                fields=["tenant", "-admitted_at", "-id"],
                condition=~Q(outcome="complete"),
                name="usage_newest_broken",
            ),
            # For the console's list, unfiltered and by each filter.
            models.Index(fields=["-admitted_at", "-id"], name="usage_newest"),
            models.Index(fields=["outcome", "-admitted_at", "-id"], name="usage_by_outcome"),
            models.Index(fields=["engine", "-admitted_at", "-id"], name="usage_by_engine"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(cached_tokens__lte=models.F("prompt_tokens")), name="cached_within_prompt"
            ),
            models.UniqueConstraint(fields=["request_id", "period"], name="one_event_a_request"),
        ]

    def __str__(self) -> str:
        return self.request_id


class LedgerEntry(models.Model):
    """An amount that a tenant owes. A database trigger refuses changes: a correction is a new entry."""

    class Kind(models.TextChoices):
        USAGE = "usage"
        TRAINING = "training"
        FEE = "fee"
        HOSTING = "hosting"
        GRANT = "grant"
        PAYMENT = "payment"
        ADJUSTMENT = "adjustment"
        WRITEOFF = "writeoff"
        ROUNDING = "rounding"

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="ledger_entries", verbose_name="workspace"
    )
    kind = models.CharField(max_length=12, choices=Kind)
    source_id = models.CharField(
        max_length=80, help_text="For usage: the request id. For a training: its id."
    )
    period = models.CharField(max_length=7)
    amount_nanousd = models.BigIntegerField(help_text="Positive: owed by the workspace.")
    tokens = models.BigIntegerField(default=0)
    # A text, for an entry stays as it was booked, and payment providers and programs book, too. The audit log
    # names the person.
    actor = models.CharField(max_length=80, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "source_id"], name="one_entry_a_source")]
        indexes = [
            models.Index(fields=["tenant", "-period", "-id"], name="ledger_newest_of_tenant"),
            models.Index(fields=["-period", "-id"], name="ledger_newest"),
            models.Index(fields=["kind", "-period", "-id"], name="ledger_newest_of_kind"),
        ]
        verbose_name_plural = "ledger entries"

    def __str__(self) -> str:
        return f"{self.kind} {self.source_id}"


class UsageDaily(models.Model):
    """Usage by tenant, key, style and UTC day: derived from usage events and rebuildable. Pages read it."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="usage_days", verbose_name="workspace"
    )
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="usage_days")
    style_name = models.CharField(max_length=100)
    day = models.DateField()
    requests = models.BigIntegerField(default=0)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    cost_nanousd = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "day", "style_name", "key"], name="one_row_a_day"),
        ]
        indexes = [
            models.Index(fields=["-day", "-id"], name="daily_newest"),
            models.Index(fields=["tenant", "-day", "-id"], name="daily_newest_of_tenant"),
            models.Index(fields=["style_name", "-day", "-id"], name="daily_newest_of_style"),
        ]
        verbose_name_plural = "usage by day"

    def __str__(self) -> str:
        return f"{self.style_name} on {self.day}"


class UsageMinute(models.Model):
    """How a version's finished requests ended, by minute: derived from usage events. Canaries read it."""

    style = models.UUIDField()
    version_number = models.PositiveIntegerField()
    minute = models.DateTimeField()
    requests = models.PositiveIntegerField()
    errors = models.PositiveIntegerField()
    empty = models.PositiveIntegerField()
    completion_tokens = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["style", "minute", "version_number"], name="one_row_a_minute"),
        ]
        indexes = [models.Index(fields=["minute"], name="minutes_oldest")]  # for the pruning
        verbose_name_plural = "usage by minute"

    def __str__(self) -> str:
        return f"{self.style}@{self.version_number} at {self.minute:%Y-%m-%d %H:%M}"


class AuthorEarning(models.Model):
    """An author's share of a workspace's usage of a style on a UTC day, written with that usage."""

    author = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="earnings")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", help_text="Who used it.")
    style = models.UUIDField()
    style_name = models.CharField(max_length=100)
    day = models.DateField()
    requests = models.BigIntegerField()
    tokens = models.BigIntegerField()
    cost_nanousd = models.BigIntegerField(help_text="Of the usage.")
    share_nanousd = models.BigIntegerField(help_text="Percentage of each request's cost, rounded down.")
    earned_nanousd = models.BigIntegerField(
        null=True, help_text="The earned part of the share, from paid usage. Empty: not decided yet."
    )
    shares_member = models.BooleanField(
        default=False, db_default=False, help_text="The two workspaces had a member in common in that month."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["author", "day", "style", "tenant"], name="one_earning_a_day"),
        ]
        indexes = [models.Index(fields=["-day", "-id"], name="earnings_newest")]

    def __str__(self) -> str:
        return f"{self.style_name} on {self.day}"


class HostedStyle(models.Model):
    """A workspace's private style that an engine had loaded at some moment of a month; never changed."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="hosted_styles", verbose_name="workspace"
    )
    style = models.UUIDField()
    style_name = models.CharField(max_length=100)
    period = models.CharField(max_length=7, help_text="Month in UTC, such as 2026-11.")
    noted_at = models.DateTimeField(auto_now_add=True, help_text="When it was first hosted in that month.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["style", "period"], name="hosted_once_a_month")]
        indexes = [
            models.Index(fields=["tenant", "-period", "-id"], name="hosted_newest_of_tenant"),
            models.Index(fields=["-period", "-id"], name="hosted_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.style_name} in {self.period}"


class RefusedRequest(models.Model):
    """One request that was not served, and why. What it asked is not kept."""

    request_id = models.CharField(max_length=40, unique=True)
    # The index below begins with the tenant.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="refused_requests", db_index=False
    )
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="refused_requests")
    at = models.DateTimeField()
    model_name = models.CharField(max_length=100, blank=True, help_text="As requested, if the body was read.")
    status = models.PositiveSmallIntegerField(help_text="HTTP status.")
    code = models.CharField(max_length=60)
    reason = MessageField()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-at", "-id"], name="refused_newest_of_tenant"),
            models.Index(fields=["at"], name="refused_oldest"),  # for the pruning
        ]

    def __str__(self) -> str:
        return f"{self.request_id}: {self.code}"


class TrainingHoldQuerySet(models.QuerySet["TrainingHold"]):
    def open(self) -> "TrainingHoldQuerySet":
        """Return the holds of trainings whose charge is not in the ledger yet."""
        return self.filter(settled_at=None)


class TrainingHold(models.Model):
    """The most that one training can cost, held from before its start until its end.

    It counts from the moment it is written. Only once it is confirmed may the training start
    (quota_sync/training_holds.py). The charge itself is a ledger entry with the training's id.
    """

    training = models.UUIDField(primary_key=True)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="training_holds", verbose_name="workspace"
    )
    token_nanousd = models.BigIntegerField("price per token", help_text="In effect when it was held.")
    most_tokens = models.BigIntegerField(help_text="It is never charged for more than these.")
    nanousd = models.BigIntegerField("amount held")
    period = models.CharField(max_length=7, help_text="Month (UTC) in which it was held, such as 2026-11.")
    created_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was certain that nothing in flight exceeds what is left."
    )
    settled_at = models.DateTimeField(null=True, blank=True, help_text="When the training was charged.")

    objects = TrainingHoldQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(most_tokens__gte=0, token_nanousd__gte=0), name="held_tokens_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(nanousd=models.F("most_tokens") * models.F("token_nanousd")),
                name="held_at_the_price",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-training"], name="training_holds_newest"),
            models.Index(
                fields=["tenant"], condition=Q(settled_at=None), name="open_training_holds_of_tenant"
            ),
        ]

    def __str__(self) -> str:
        return f"Training hold of {self.tenant}"
