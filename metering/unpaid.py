"""What a workspace may use before anybody knows that it pays: a cap, until its first invoice is paid.

A plan that invoices usage lends it for up to six weeks. So the usage beyond the included tokens has an end:
the data plane counts the cap as if it were a last credit (quota_sync/credit_field.py).
"""

from django.conf import settings
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone

from core import months
from core.money import NANO
from metering.models import Invoice, PlanVersion, Subscription
from tenants.models import Membership, Tenant, User
from tenants.persons import person_of

# What the credit notes of an invoice leave of it.
REST_NANOUSD = F("total_nanousd") - Sum("credit_notes__amount_nanousd", default=0)


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
    """Return whether a workspace has paid for an invoice, if only in part.

    One whose credit notes took off everything is closed as paid, and nobody paid for it.
    """
    closed = Invoice.objects.filter(tenant=tenant, state=Invoice.State.PAID)
    return closed.annotate(rest_nanousd=REST_NANOUSD).filter(rest_nanousd__gt=0).exists()


def owed_before_nanousd(tenant: Tenant, period: str) -> int:
    """Return what final invoices of the months before one leave to pay, less their credit notes."""
    due = Invoice.objects.filter(tenant=tenant, state=Invoice.State.FINALIZED, period__lt=period)
    return sum_rests(due)


def sum_rests(invoices: QuerySet[Invoice]) -> int:
    """Return the nano-USD that invoices come to, less their credit notes."""
    rests = invoices.annotate(rest_nanousd=REST_NANOUSD)
    return int(rests.aggregate(total=Sum("rest_nanousd", default=0))["total"])


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


def find_payer(tenant: Tenant) -> User | None:
    """Return the oldest owner of a workspace: the founder, as long as the founder owns it."""
    owners = Membership.objects.filter(tenant=tenant, role=Membership.Role.OWNER)
    oldest = owners.select_related("user").order_by("created_at", "pk").first()
    return oldest.user if oldest else None


def _uses_cap(tenant: Tenant) -> bool:
    """Return whether a workspace has usage that is lent: invoiced and not paid, or not invoiced yet."""
    if tenant.is_first_party or has_paid_invoice(tenant):
        return False
    return owed_before_nanousd(tenant, months.current()) > 0 or _has_uninvoiced_month(tenant)


def _has_uninvoiced_month(tenant: Tenant) -> bool:
    """Return whether a plan that lends was in force in a month that has no final invoice yet.

    Also if the plan has ended since: the month's usage is unpaid until its invoice is. Months before the last
    one count only while they have a draft: without one there was nothing to invoice.
    """
    now = timezone.now()
    current = months.period_of(now)
    recent = {current, months.before(current)}
    of_tenant = Invoice.objects.filter(tenant=tenant)
    drafts = set(of_tenant.filter(state=Invoice.State.DRAFT).values_list("period", flat=True))
    final = set(of_tenant.filter(period__in=recent).values_list("period", flat=True)) - drafts
    lent = Subscription.objects.filter(
        tenant=tenant,
        plan_version__overage_allowed=True,
        plan_version__plan__is_offered=True,
        starts_at__lte=now,
    )
    return any(lent.within(*months.bounds(period)).exists() for period in (recent | drafts) - final)
