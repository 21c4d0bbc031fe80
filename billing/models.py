"""Payments, billing details and credit notes. No card data is here.

A payment is what was asked of a payment provider, and what came of it. A credit note corrects a finalized
invoice; the database refuses to change one.
"""

from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from core.message_fields import MessageField
from core.names import validate_name, validate_text
from metering.models import Invoice
from tenants.models import Tenant


class PaymentAccount(models.Model):
    """How a workspace pays: its customer with the provider, and what is topped up automatically."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="payment_account")
    customer_id = models.CharField(max_length=64, blank=True, help_text="The provider's id, such as cus_….")
    payment_method_id = models.CharField(
        max_length=64, blank=True, help_text="The provider's id of the saved payment method, such as pm_…."
    )
    threshold_nanousd = models.BigIntegerField(
        null=True, blank=True, help_text="Top up when credits fall below this. Empty: never."
    )
    amount_nanousd = models.BigIntegerField(null=True, blank=True, help_text="Amount of an automatic top-up.")
    failures = models.PositiveSmallIntegerField(
        default=0, help_text="Consecutive declined automatic top-ups."
    )
    retry_at = models.DateTimeField(null=True, blank=True, help_text="No automatic top-up before.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(threshold_nanousd=None, amount_nanousd=None)
                | Q(threshold_nanousd__gt=0, amount_nanousd__gt=0),
                name="threshold_with_amount",
            )
        ]

    def __str__(self) -> str:
        return f"payment account of {self.tenant}"


class Payment(models.Model):
    """One amount that is to be paid: open → succeeded, failed or canceled.

    Money that arrives late counts: a payment that failed or was canceled can still succeed.
    """

    class Purpose(models.TextChoices):
        TOP_UP = "top_up", _("top-up")
        AUTO_TOP_UP = "auto_top_up", _("automatic top-up")
        INVOICE = "invoice", _("Invoice")

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        CANCELED = "canceled", _("Cancelled")

    class Provider(models.TextChoices):
        MANUAL = "manual", _("by bank transfer")
        STRIPE = "stripe", "Stripe"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="payments", verbose_name="workspace"
    )
    purpose = models.CharField(max_length=12, choices=Purpose)
    invoice = models.ForeignKey(
        Invoice, on_delete=models.PROTECT, null=True, blank=True, related_name="payments"
    )
    amount_nanousd = models.BigIntegerField(help_text="Whole cents.")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    provider = models.CharField(max_length=10, choices=Provider)
    reference = models.CharField(
        max_length=100, blank=True, help_text="The provider's id, such as cs_… or pi_…."
    )
    # The first choice stays: a repeated charge under one idempotency key must have the same parameters.
    customer_id = models.CharField(max_length=64, blank=True, help_text="Customer for automatic charges.")
    payment_method_id = models.CharField(
        max_length=64, blank=True, help_text="Payment method for automatic charges."
    )
    url = models.TextField(blank=True, help_text="URL of the payment page.")
    failure = MessageField(help_text="Why it failed; a provider's own words are kept as they are.")
    created_at = models.DateTimeField(auto_now_add=True)
    checked_at = models.DateTimeField(null=True, blank=True, help_text="When the provider was last queried.")
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_nanousd__gt=0), name="payments_are_positive"),
            models.CheckConstraint(
                condition=Q(purpose="invoice", invoice__isnull=False)
                | ~Q(purpose="invoice") & Q(invoice__isnull=True),
                name="invoice_of_invoice_payments",
            ),
            models.UniqueConstraint(
                fields=["tenant"],
                condition=Q(state="open", purpose="auto_top_up"),
                name="one_open_automatic_top_up",
            ),
            models.UniqueConstraint(
                fields=["invoice"], condition=Q(state="open"), name="one_open_payment_an_invoice"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="payments_newest_of_tenant"),
            models.Index(fields=["created_at"], condition=Q(state="open"), name="payments_open"),
        ]

    def __str__(self) -> str:
        return f"PAY-{self.pk.hex[:8].upper()}"


class PaymentEvent(models.Model):
    """An event of the provider that has had its effect: its id is known, so a repetition has none."""

    event_id = models.CharField(max_length=100, unique=True)
    type = models.CharField(max_length=80)
    payment = models.ForeignKey(Payment, on_delete=models.CASCADE, related_name="provider_events")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="payment_events_oldest")]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


MAX_ADDRESS = 300  # characters


class BillingDetails(models.Model):
    """Name, address and tax id as invoices have them. Each keeps those of the day it was finalized."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="billing_details")
    name = models.CharField(
        _("billed to"),
        max_length=100,
        blank=True,
        validators=[validate_name],
        help_text=_("A company or a person. Defaults to the workspace's name."),
    )
    address = models.TextField(
        max_length=MAX_ADDRESS,
        blank=True,
        validators=[validate_text],
        help_text=_("Full postal address."),
    )
    tax_id = models.CharField(
        _("tax id"),
        max_length=40,
        blank=True,
        validators=[validate_name],
        help_text=_("Such as a VAT number. It's shown on invoices; we don't verify it."),
    )
    reference = models.CharField(
        _("your reference"),
        max_length=60,
        blank=True,
        validators=[validate_name],
        help_text=_("Such as a purchase order number."),
    )
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "billing details"

    def __str__(self) -> str:
        return self.name or str(self.tenant)

    def as_text(self) -> str:
        """Return the lines that stand on an invoice."""
        lines = [str(self)]
        for line in self.address.splitlines():
            if line.strip():
                lines.append(line.strip())
        if self.tax_id:
            lines.append(gettext_noop("Tax ID {tax_id}").format(tax_id=self.tax_id))
        if self.reference:
            lines.append(gettext_noop("Reference {reference}").format(reference=self.reference))
        return "\n".join(lines)


class CreditNote(models.Model):
    """An amount that is asked no more, or given back, of one finalized invoice, with the reason.

    All notes of an invoice together are at most its total.
    """

    class Settlement(models.TextChoices):
        OWED = "owed", _("reduces the amount due")
        CREDITS = "credits", _("returned as credits")
        REFUND = "refund", _("refunded")

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credit_notes")
    number = models.PositiveIntegerField(unique=True)
    amount_nanousd = models.BigIntegerField(help_text="In whole cents, more than zero.")
    settlement = models.CharField(max_length=10, choices=Settlement)
    reason = models.CharField(max_length=200, help_text="Visible to the customer.")
    actor = models.CharField(max_length=80)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_nanousd__gt=0), name="credit_notes_are_positive"),
            # A form that is sent twice credits once.
            models.UniqueConstraint(
                fields=["invoice", "reason"],
                name="one_credit_note_a_reason",
                violation_error_message=_("This invoice already has a credit note with this reason."),
            ),
        ]
        ordering = ["number"]

    def __str__(self) -> str:
        return f"CN-{self.number:06d}"


class CreditNoteNumber(models.Model):
    """The last number that a credit note got: one row, locked by who takes the next."""

    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.last)
