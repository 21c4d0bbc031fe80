"""Credits: amounts that pay a workspace's usage beyond its plan's included tokens."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from core.message_fields import MessageField
from metering.models.invoices import Invoice
from tenants.models.people import Tenant

MAX_SOURCE_ID = 66  # as long as the ids of Stripe's checkout sessions; with the source it fits the ledger's


class CreditGrant(models.Model):
    """An amount that pays usage of the months from `first_period` to `last_period`. It never changes.

    What is left of it is derived: its amount less its burns. The database refuses a burn beyond that.
    """

    class Source(models.TextChoices):
        PROMOTION = "promotion", _("Promotion")
        TOP_UP = "top_up", _("top-up")
        AUTHOR_SHARE = "author_share", _("author's share")
        GOODWILL = "goodwill", _("Goodwill")

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="credit_grants", verbose_name="workspace"
    )
    source = models.CharField(max_length=12, choices=Source)
    source_id = models.CharField(max_length=MAX_SOURCE_ID, help_text="For a top-up: the payment's id.")
    amount_nanousd = models.BigIntegerField()
    priority = models.PositiveSmallIntegerField(default=100, help_text="Lower values are used first.")
    first_period = models.CharField(
        max_length=7, help_text="Month (UTC) in which it was granted, such as 2026-11."
    )
    last_period = models.CharField(
        max_length=7, blank=True, help_text="Expires at the end of this month (UTC). Empty: never."
    )
    reason = MessageField()
    actor = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "source_id"], name="one_grant_a_source"),
            models.CheckConstraint(condition=Q(amount_nanousd__gt=0), name="grants_are_positive"),
            models.CheckConstraint(
                condition=Q(last_period="") | Q(last_period__gte=models.F("first_period")),
                name="grants_end_after_they_begin",
            ),
        ]
        indexes = [models.Index(fields=["tenant", "-id"], name="grants_newest_of_tenant")]

    def __str__(self) -> str:
        return f"{self.get_source_display()} {self.source_id}"


class CreditBurn(models.Model):
    """What was taken from a grant: by an invoice, or because it expired. It never changes.

    A negative amount is what a void invoice gave back.
    """

    grant = models.ForeignKey(CreditGrant, on_delete=models.PROTECT, related_name="burns")
    invoice = models.ForeignKey(
        Invoice,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="credit_burns",
        help_text="Empty: expired.",
    )
    period = models.CharField(max_length=7, help_text="The month whose usage it paid for.")
    amount_nanousd = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grant", "invoice", "period"],
                condition=Q(amount_nanousd__gt=0),
                name="one_burn_an_invoice",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                fields=["grant", "invoice", "period"],
                condition=Q(amount_nanousd__lt=0),
                name="given_back_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(amount_nanousd__gt=0) | Q(amount_nanousd__lt=0, invoice__isnull=False),
                name="only_invoices_give_back",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.grant}: {self.period}"
