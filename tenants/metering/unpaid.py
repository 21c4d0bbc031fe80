"""What a workspace may use before anybody knows that it pays: a cap, until its first invoice is paid.

A plan that invoices usage lends it for up to six weeks. So the usage beyond the included tokens has an end:
the data plane counts the cap as if it were a last credit (quota_sync/credit_field.py).
"""

from django.conf import settings
from django.db.models import Q, Sum
from django.utils import timezone

from core import months
from core.money import NANO
from tenants.metering.persons import person_of
from tenants.metering.pools import find_payer
from tenants.models import Invoice, Membership, PlanVersion, Subscription, Tenant


def unpaid_cap_nanousd(tenant: Tenant, version: PlanVersion) -> int | None:
    """Return what may be unpaid beyond the included tokens on a plan version; None where nothing bounds it.

    An operator's word is another amount, or a plan by arrangement, which nobody can choose by themselves.
    """
    is_lent = version.overage_allowed and version.plan.is_offered and not tenant.is_first_party
    if not is_lent or has_paid_invoice(tenant):
        return None
    if tenant.unpaid_cap_nanousd is not None:
        return tenant.unpaid_cap_nanousd
    return settings.MAX_UNPAID_USD * NANO


def has_paid_invoice(tenant: Tenant) -> bool:
    """Return whether a workspace has paid an invoice that was due."""
    paid = Invoice.objects.filter(tenant=tenant, state=Invoice.State.PAID, total_nanousd__gt=0)
    return paid.exists()


def owed_before_nanousd(tenant: Tenant, period: str) -> int:
    """Return what final invoices of the months before one leave to pay."""
    due = Invoice.objects.filter(tenant=tenant, state=Invoice.State.FINALIZED, period__lt=period)
    return int(due.aggregate(total=Sum("total_nanousd", default=0))["total"])


def find_other_unpaid(tenant: Tenant) -> Tenant | None:
    """Return another workspace of the person who pays for this one that uses the cap, or None.

    The cap is one person's, so one workspace at a time may use it.
    """
    payer = find_payer(tenant)
    if payer is None:
        return None
    owners = Q(memberships__user=payer) | Q(memberships__user__person=person_of(payer))
    owned = Tenant.objects.filter(owners, memberships__role=Membership.Role.OWNER).exclude(pk=tenant.pk)
    for other in owned.filter(unpaid_cap_nanousd=None).distinct():
        other_payer = find_payer(other)
        if other_payer and person_of(other_payer) == person_of(payer) and _uses_cap(other):
            return other
    return None


def _uses_cap(tenant: Tenant) -> bool:
    """Return whether a workspace uses the cap, or has left an invoice unpaid and never paid one."""
    subscription = Subscription.objects.filter(tenant=tenant).at(timezone.now()).order_by("starts_at").last()
    if subscription and unpaid_cap_nanousd(tenant, subscription.plan_version) is not None:
        return True
    return not has_paid_invoice(tenant) and owed_before_nanousd(tenant, months.current()) > 0
