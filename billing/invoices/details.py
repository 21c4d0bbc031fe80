"""Whom invoices are made out to."""

from collections.abc import Mapping

from django.db import transaction

from billing.models import BillingDetails
from tenants.access import Access
from tenants.models import Tenant
from tenants.roles import Permission

FIELDS = ("name", "address", "tax_id", "reference")


def details_of(tenant: Tenant) -> BillingDetails:
    """Return a workspace's billing details; empty ones, not saved, where it gave none."""
    details = BillingDetails.objects.filter(tenant=tenant).first()
    return details or BillingDetails(tenant=tenant)


@transaction.atomic
def set_details(changes: Mapping[str, str], *, by: Access) -> BillingDetails:
    """Change some of the billing details; return all. The next invoices have them, earlier ones stay.

    Raises RoleNotAllowed.
    """
    by.require_permission(Permission.MANAGE_BILLING)
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=by.tenant.pk)
    details = details_of(tenant)
    before = {name: getattr(details, name) for name in changes}
    after = {name: value for name, value in changes.items() if value != before[name]}
    if not after:
        return details
    details, _ = BillingDetails.objects.update_or_create(tenant=tenant, defaults=after)
    by.audit("billing_details.edited", details, before={name: before[name] for name in after}, after=after)
    return details
