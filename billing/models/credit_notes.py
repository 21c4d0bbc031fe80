"""Credit notes: what corrects a finalized invoice. The database refuses to change one."""

from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from metering.models import Invoice


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
