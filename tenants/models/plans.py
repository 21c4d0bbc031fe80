"""Plans, prices and subscriptions. Plan versions are immutable: a change is a new version."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, pgettext

from tenants.models.people import Tenant

GIB = 1024**3


class Plan(models.Model):
    """A plan that tenants can be on."""

    code = models.SlugField(max_length=40, primary_key=True)
    name = models.CharField(max_length=60)
    is_offered = models.BooleanField(
        "offered to everybody",
        default=False,
        help_text="Owners can choose it and the price list shows it; other plans operators give.",
    )

    def __str__(self) -> str:
        return self.name


class PlanVersion(models.Model):
    """One immutable edition of a plan: limits, and the fee in nano-USD a month."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    monthly_fee_nanousd = models.BigIntegerField(default=0)
    included_tokens = models.BigIntegerField(default=0)
    monthly_tokens = models.BigIntegerField(help_text="Hard cap of tokens a month.")
    monthly_nanousd = models.BigIntegerField(
        null=True, blank=True, help_text="Hard cap of spend a month. None: no cap."
    )
    requests_per_minute = models.PositiveIntegerField()
    tokens_per_minute = models.PositiveIntegerField()
    parallel_requests = models.PositiveIntegerField()
    max_output_tokens = models.PositiveIntegerField()
    sequences_per_request = models.PositiveSmallIntegerField(
        default=16, help_text="Prompts times `n` of one request: each is a sequence of the engine's."
    )
    api_requests_per_minute = models.PositiveIntegerField(
        default=300, help_text="Of one key to the management API, /api/v1."
    )
    private_styles = models.PositiveIntegerField()
    stored_versions = models.PositiveIntegerField(
        default=30, help_text="Versions whose files are kept, rejected ones not counted."
    )
    stored_bytes = models.BigIntegerField(
        default=2 * GIB, help_text="Bytes of adapters that are kept or announced by open uploads."
    )
    open_uploads = models.PositiveIntegerField(default=3, help_text="Uploads begun and not finished.")
    weight = models.PositiveSmallIntegerField(default=1, help_text="Its share of an engine that is full.")
    effective_from = models.DateTimeField(
        default=timezone.now,
        help_text="From when new subscriptions get it. Those on an earlier version stay there.",
    )
    overage_allowed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="one_plan_version"),
            models.CheckConstraint(condition=Q(weight__gte=1), name="weight_at_least_one"),
            models.CheckConstraint(condition=Q(sequences_per_request__gte=1), name="one_sequence_at_least"),
        ]

    def __str__(self) -> str:
        return f"{self.plan} v{self.number}"


class PriceBook(models.Model):
    """One edition of all prices, valid from a moment on until the next one. It is never edited."""

    effective_from = models.DateTimeField(unique=True, help_text="In UTC; whole minutes.")
    style_month_nanousd = models.BigIntegerField(
        default=0,
        help_text="Of hosting a private style for a month; it counts from the next month's start.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(style_month_nanousd__gte=0), name="hosting_not_negative"),
        ]

    def __str__(self) -> str:
        return f"Prices from {self.effective_from:%Y-%m-%d}"


class PriceQuerySet(models.QuerySet["Price"]):
    def general(self) -> "PriceQuerySet":
        """Return the prices of whatever has none of its own: one an edition."""
        return self.filter(style=None, is_base=False)


class Price(models.Model):
    """Integer nano-USD a token: of one style, of the base model, or else of all that has no price here."""

    book = models.ForeignKey(PriceBook, on_delete=models.PROTECT, related_name="prices")
    style = models.UUIDField(null=True, blank=True)
    style_name = models.CharField(
        max_length=100, blank=True, help_text="As in `model=`, when the edition was made."
    )
    is_base = models.BooleanField(default=False, help_text="Of the base model without a style.")
    input_nanousd = models.BigIntegerField()
    cached_input_nanousd = models.BigIntegerField()
    output_nanousd = models.BigIntegerField()
    author = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="Who earns."
    )
    author_percent = models.PositiveSmallIntegerField(
        default=0, help_text="Of what other workspaces' usage of a public style costs, for its author."
    )

    objects = PriceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["book", "style", "is_base"], name="one_price_a_style", nulls_distinct=False
            ),
            models.CheckConstraint(condition=Q(style=None) | Q(is_base=False), name="price_of_one_thing"),
            models.CheckConstraint(
                condition=Q(author_percent=0)
                | Q(author_percent__lte=100, author__isnull=False, style__isnull=False),
                name="share_has_an_author",
            ),
            models.CheckConstraint(
                condition=Q(input_nanousd__gte=0, cached_input_nanousd__gte=0, output_nanousd__gte=0),
                name="prices_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.book}: {self.of}"

    @property
    def of(self) -> str:
        """What it is the price of, in words."""
        return (
            pgettext("what has a price", "the base model")
            if self.is_base
            else self.style_name or gettext("every style")
        )


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def at(self, moment: datetime) -> "SubscriptionQuerySet":
        """Return subscriptions in force at a moment."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=moment), starts_at__lte=moment)

    def within(self, start: datetime, end: datetime) -> "SubscriptionQuerySet":
        """Return subscriptions that were in force at some moment of [start, end)."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=start), starts_at__lt=end)


class Subscription(models.Model):
    """The plan version of a tenant in [starts_at, ends_at)."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="subscriptions", verbose_name="workspace"
    )
    plan_version = models.ForeignKey(PlanVersion, on_delete=models.PROTECT)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(ends_at=None), name="one_open_subscription"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant} on {self.plan_version}"
