"""Whom invoices are made out to."""

from billing.models import BillingDetails
from tenants.models import Tenant

FIELDS = ("name", "address", "tax_id", "reference")


def details_of(tenant: Tenant) -> BillingDetails:
    """Return a workspace's billing details; empty ones, not saved, where it gave none."""
    details = BillingDetails.objects.filter(tenant=tenant).first()
    return details or BillingDetails(tenant=tenant)


def set_details(tenant: Tenant, **changed: str) -> BillingDetails:
    """Change some of the billing details; return all. The next invoices have them, earlier ones stay."""
    details, _ = BillingDetails.objects.update_or_create(tenant=tenant, defaults=changed)
    return details


def values_of(details: BillingDetails) -> dict[str, str]:
    """Return the details by the names of their fields."""
    return {name: getattr(details, name) for name in FIELDS}
