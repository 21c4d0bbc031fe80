"""New prices and shares of public styles: asked for by their owners, agreed by operators, then announced."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from adapters.models.styles import Style


class PriceChangeQuerySet(models.QuerySet["PriceChange"]):
    def waiting(self) -> "PriceChangeQuerySet":
        """Return what operators have not answered, the oldest first."""
        return self.filter(state=PriceChange.State.WAITING).order_by("asked_at")

    def untold(self) -> "PriceChangeQuerySet":
        """Return what is agreed, and those who selected the style do not know it yet."""
        return self.filter(state=PriceChange.State.AGREED, announced_at=None).order_by("effective_from", "pk")

    def open(self, now: datetime) -> "PriceChangeQuerySet":
        """Return what waits, or is agreed and does not count yet: a style has one at most."""
        ahead = Q(state=PriceChange.State.AGREED, effective_from__gt=now)
        return self.filter(Q(state=PriceChange.State.WAITING) | ahead)


class PriceChange(models.Model):
    """Other prices, or another share, of one style. Its price is added when it is announced."""

    class State(models.TextChoices):
        WAITING = "waiting", _("pending approval")
        AGREED = "agreed", _("approved")
        DECLINED = "declined", _("Declined")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    style = models.ForeignKey(Style, on_delete=models.CASCADE, related_name="price_changes")
    input_nanousd = models.BigIntegerField(
        null=True, blank=True, help_text="Per token. Empty: the standard price."
    )
    cached_input_nanousd = models.BigIntegerField(null=True, blank=True)
    output_nanousd = models.BigIntegerField(null=True, blank=True)
    author_percent = models.PositiveSmallIntegerField(
        default=0, help_text="Percentage of what other workspaces pay."
    )
    first_day = models.DateField(help_text="Requested start date (UTC).")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    asked_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True, editable=False)
    reason = models.CharField(max_length=300, blank=True, help_text="Reason for declining.")
    effective_from = models.DateTimeField(null=True, blank=True, help_text="Effective date, once approved.")
    announced_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When workspaces that selected the style were notified.",
    )

    objects = PriceChangeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(input_nanousd=None, cached_input_nanousd=None, output_nanousd=None)
                | Q(input_nanousd__gte=0, cached_input_nanousd__gte=0, output_nanousd__gte=0),
                name="changed_prices_are_three",
            ),
            models.CheckConstraint(condition=Q(author_percent__lte=100), name="changed_share_in_percent"),
        ]
        ordering = ["-asked_at"]

    def __str__(self) -> str:
        return f"{self.style.model_name} from {self.first_day}"
