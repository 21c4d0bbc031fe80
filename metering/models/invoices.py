"""Invoices, and the credits that pay them.

An invoice is what a workspace owes for a month. It is frozen once finalized; the database refuses changes.
"""

from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils.translation import get_language, gettext_noop
from django.utils.translation import gettext_lazy as _

from core.message_fields import MessageField
from tenants.models.people import Tenant


class Invoice(models.Model):
    """A month of one workspace: draft → finalized → paid or void.

    The sum of its lines is its total. Finalizing gives it the next number, without a gap, and writes what is
    no usage (fee, included tokens, rounding) into the ledger.
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        FINALIZED = "finalized", _("due")
        PAID = "paid", _("Paid")
        VOID = "void", _("Void")

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="invoices", verbose_name="workspace"
    )
    period = models.CharField(max_length=7, help_text="Month in UTC, such as 2026-11.")
    number = models.PositiveIntegerField(null=True, blank=True, unique=True)
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    plan = models.CharField(max_length=80, help_text="The plan version at the end of the month.")
    total_nanousd = models.BigIntegerField(help_text="In whole cents, once finalized.")
    bill_to = models.TextField(blank=True, help_text="The billing details when it was finalized.")
    issuer = models.TextField(blank=True, help_text="The issuer: INVOICE_ISSUER when it was finalized.")
    created_at = models.DateTimeField(auto_now_add=True)
    finalized_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True, help_text="When it was paid or voided.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "period"], name="one_invoice_a_month"),
            models.CheckConstraint(
                condition=Q(state="draft", number=None) | ~Q(state="draft") & Q(number__isnull=False),
                name="number_once_finalized",
            ),
        ]
        indexes = [models.Index(fields=["-period", "-number"], name="invoices_newest")]

    def __str__(self) -> str:
        return (
            f"PS-{self.number:06d}"
            if self.number
            else gettext_noop("Draft for {period}").format(period=self.period)
        )

    @property
    def bill_to_text(self) -> str:
        """Whom it is made out to, in lines: the workspace's name where nothing else was given."""
        return self.bill_to or self.tenant.name


class InvoiceLine(models.Model):
    """One line: a quantity at a price, or an amount. A usage line names the ledger entries that it sums."""

    class Kind(models.TextChoices):
        FEE = "fee"
        HOSTING = "hosting"
        USAGE = "usage"
        TRAINING = "training"
        INCLUDED = "included"
        CREDIT = "credit"
        ADJUSTMENT = "adjustment"
        ROUNDING = "rounding"
        KEPT = "kept", "kept as credits"

    METERED = (Kind.USAGE, Kind.TRAINING)  # a number of tokens at a price per token

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=12, choices=Kind)
    text = models.CharField(max_length=200, help_text="In English, frozen with the invoice.")
    message = MessageField(help_text="The same, for readers of other languages.")
    style_name = models.CharField(max_length=100, blank=True)
    meter = models.CharField(max_length=20, blank=True)
    quantity = models.BigIntegerField(default=1)
    unit_nanousd = models.BigIntegerField(null=True, blank=True)
    amount_nanousd = models.BigIntegerField()
    first_entry = models.BigIntegerField(null=True, blank=True, help_text="Ledger entries: the first,")
    last_entry = models.BigIntegerField(null=True, blank=True, help_text="and the last one of this line.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["invoice", "position"], name="one_line_a_position")]
        ordering = ["position"]

    def __str__(self) -> str:
        return self.text

    @property
    def shown_text(self) -> str:
        """The text in the reader's language; in English the very words that were frozen."""
        is_english = (get_language() or "en").startswith("en")
        return self.text if is_english or not self.message else str(self.message)


class InvoiceNumber(models.Model):
    """The last number that an invoice got: one row, locked by who takes the next."""

    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.last)


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
