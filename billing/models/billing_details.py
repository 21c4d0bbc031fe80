"""Who a workspace's invoices are made out to."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from core.names import validate_name, validate_text
from tenants.models import Tenant

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
