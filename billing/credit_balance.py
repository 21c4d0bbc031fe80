"""What is left of a workspace's credits this month, grant by grant."""

from dataclasses import dataclass

from core import months
from metering import credits
from metering.models import CreditGrant
from tenants.models import Tenant


@dataclass(frozen=True)
class CreditLeft:
    """A grant that still pays for usage, and how much."""

    grant: CreditGrant
    nanousd: int


def list_credits_left(tenant: Tenant) -> list[CreditLeft]:
    """Return what pays for this month's further usage, in the order in which it is used."""
    period = months.current()
    credits_left = {}
    for credit in credits.left_of_grants(tenant, period):
        if credit.left_nanousd > 0 and credit.covers(period):
            credits_left[credit.grant_id] = credit.left_nanousd
    grants = CreditGrant.objects.in_bulk(credits_left)
    return [CreditLeft(grants[grant_id], nanousd) for grant_id, nanousd in credits_left.items()]
