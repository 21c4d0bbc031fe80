"""Invoices: what a workspace owes for a month. Frozen once finalized; the database refuses changes then."""

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
