"""What a workspace's public styles earned it."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from billing import author_shares
from core import months
from core.money import usd_at_a_glance
from metering.models import CreditGrant
from tenants.access import MemberRequest, member_required
from tenants.roles import Permission, requires

MAX_SHOWN = 240  # rows: five years of four styles


@require_GET
@member_required
@requires(to_read=Permission.READ_BILLING)
def show_earnings(request: MemberRequest) -> HttpResponse:
    """Show what each style earned in each month, and what was paid out of it as credits."""
    tenant = request.tenant
    earned = []
    for row in author_shares.newest_earnings_of(tenant.pk, MAX_SHOWN):
        earned.append((row, usd_at_a_glance(row.share_nanousd)))
    paid = []
    grants = CreditGrant.objects.filter(tenant=tenant, source=CreditGrant.Source.AUTHOR_SHARE)
    for grant in grants.order_by("-pk")[:MAX_SHOWN]:
        paid.append((grant, usd_at_a_glance(grant.amount_nanousd)))
    context = {
        "earned": earned,
        "paid": paid,
        "unpaid": usd_at_a_glance(author_shares.unpaid_nanousd(tenant.pk, until=months.current())),
    }
    return render(request, "billing/earnings.html", context)
