"""Plans, prices and subscriptions. Plan versions are immutable: a change is a new version."""

from datetime import datetime
from typing import NamedTuple

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, pgettext

from core.sizes import GIB
from tenants.models.people import Tenant


class Plan(models.Model):
    """A plan that tenants can be on."""

    code = models.SlugField(max_length=40, primary_key=True)
    name = models.CharField(max_length=60)
    is_offered = models.BooleanField(
        "public",
        default=False,
        help_text="Owners can choose it, and the price list shows it. Other plans are assigned by operators.",
    )

    def __str__(self) -> str:
        return self.name


class PlanVersion(models.Model):
    """One immutable version of a plan: limits, and the fee in nano-USD a month."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    monthly_fee_nanousd = models.BigIntegerField(default=0)
    included_tokens = models.BigIntegerField(default=0)
    monthly_tokens = models.BigIntegerField(help_text="Hard cap on tokens per month.")
    monthly_nanousd = models.BigIntegerField(
        null=True, blank=True, help_text="Hard cap on spending per month. Empty: no cap."
    )
    requests_per_minute = models.PositiveIntegerField()
    tokens_per_minute = models.PositiveIntegerField()
    parallel_requests = models.PositiveIntegerField()
    max_output_tokens = models.PositiveIntegerField()
    sequences_per_request = models.PositiveSmallIntegerField(
        default=16, help_text="Maximum prompts times `n` per request. Each is a sequence in the engine."
    )
    api_requests_per_minute = models.PositiveIntegerField(
        default=300, help_text="Per key, for the management API /api/v1."
    )
    private_styles = models.PositiveIntegerField()
    stored_versions = models.PositiveIntegerField(
        default=30, help_text="Versions with stored files, not counting rejected ones."
    )
    stored_bytes = models.BigIntegerField(
        default=2 * GIB, help_text="Bytes of stored adapters and open uploads."
    )
    open_uploads = models.PositiveIntegerField(default=3, help_text="Uploads started but not completed.")
    # With defaults in the database: the version before writes rows without these.
    parallel_trainings = models.PositiveSmallIntegerField(
        default=1, db_default=1, help_text="Trainings of styles that may run or wait at once."
    )
    monthly_trainings = models.PositiveIntegerField(
        default=5, db_default=5, help_text="Trainings of styles that may be started in a month."
    )
    training_words = models.PositiveIntegerField(
        default=200_000, db_default=200_000, help_text="Words of text that one training may learn from."
    )
    drafts = models.PositiveIntegerField(default=200, db_default=200, help_text="Drafts in a workspace.")
    weight = models.PositiveSmallIntegerField(default=1, help_text="Relative share of a full engine.")
    effective_from = models.DateTimeField(
        default=timezone.now,
        help_text="When new subscriptions get it. Existing ones keep their version.",
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
    """The general prices from a moment on, until the next book. It is never edited."""

    effective_from = models.DateTimeField(unique=True, help_text="In UTC; whole minutes.")
    style_month_nanousd = models.BigIntegerField(
        default=0,
        help_text="Monthly hosting price per private style. Takes effect at the start of the next month.",
    )
    trained_token_nanousd = models.PositiveBigIntegerField(
        default=0,
        db_default=0,
        help_text="Price of training a style. A training is charged at the price in effect when it starts.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(style_month_nanousd__gte=0), name="hosting_not_negative"),
        ]

    def __str__(self) -> str:
        return f"Prices from {self.effective_from:%Y-%m-%d}"


class TokenPrices(NamedTuple):
    """What a token costs, in nano-USD."""

    input_nanousd: int
    cached_input_nanousd: int
    output_nanousd: int

    @classmethod
    def of(cls, read: int | None, cached: int | None, written: int | None) -> "TokenPrices | None":
        """Return the prices that a row or a form has; None if they are empty: the price of every style."""
        if read is None or cached is None or written is None:
            return None
        return cls(read, cached, written)


class PriceQuerySet(models.QuerySet["Price"]):
    def general(self) -> "PriceQuerySet":
        """Return the prices of whatever has none of its own: one per book."""
        return self.filter(is_base=False)


class Price(models.Model):
    """Integer nano-USD a token: of the base model, or else of every style without a price of its own."""

    book = models.ForeignKey(PriceBook, on_delete=models.PROTECT, related_name="prices")
    is_base = models.BooleanField(default=False, help_text="Price of the base model without a style.")
    input_nanousd = models.BigIntegerField()
    cached_input_nanousd = models.BigIntegerField()
    output_nanousd = models.BigIntegerField()

    objects = PriceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["book", "is_base"], name="one_price_a_book"),
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
        return pgettext("priced item", "the base model") if self.is_base else gettext("every style")

    @property
    def amounts(self) -> TokenPrices:
        """The three prices."""
        return TokenPrices(self.input_nanousd, self.cached_input_nanousd, self.output_nanousd)


class StylePrice(models.Model):
    """What one style costs from a moment on, and its author's share, until its next row.

    The database refuses to change a row, and to delete one whose moment has come (migrations/guards.sql).
    """

    style = models.UUIDField()
    style_name = models.CharField(max_length=100, blank=True, help_text="The style's model name at the time.")
    effective_from = models.DateTimeField(help_text="In UTC; whole minutes.")
    input_nanousd = models.BigIntegerField(
        null=True, blank=True, help_text="Leave all three empty for the standard price."
    )
    cached_input_nanousd = models.BigIntegerField(null=True, blank=True)
    output_nanousd = models.BigIntegerField(null=True, blank=True)
    author = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="Who earns."
    )
    author_percent = models.PositiveSmallIntegerField(
        default=0, help_text="Percentage of what other workspaces pay for a public style, for its author."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["style", "effective_from"], name="one_style_price_a_moment"),
            models.CheckConstraint(
                condition=Q(input_nanousd=None, cached_input_nanousd=None, output_nanousd=None)
                | Q(input_nanousd__gte=0, cached_input_nanousd__gte=0, output_nanousd__gte=0),
                name="style_prices_are_three",
            ),
            models.CheckConstraint(
                condition=Q(author_percent=0) | Q(author_percent__lte=100, author__isnull=False),
                name="style_share_has_an_author",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.style_name or self.style} from {self.effective_from:%Y-%m-%d}"

    @property
    def amounts(self) -> TokenPrices | None:
        """The three prices; None: those of every style."""
        return TokenPrices.of(self.input_nanousd, self.cached_input_nanousd, self.output_nanousd)


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
