"""Adjustments: what operators add to a month, or take off it, by hand. They stand on the month's invoice."""

from uuid import uuid4

from django.db import transaction

from core import months
from metering.credits import lock_tenant
from metering.models import LedgerEntry
from tenants.models import Tenant


def adjust_month(tenant: Tenant, amount_nanousd: int, *, reason: str, actor: str) -> LedgerEntry:
    """Return a new entry of this month; negative: the workspace owes less. Its invoice shows the reason.

    A month whose invoice is final is corrected by a credit note instead.
    """
    with transaction.atomic():
        lock_tenant(tenant.pk)
        return LedgerEntry.objects.create(
            tenant=tenant,
            kind=LedgerEntry.Kind.ADJUSTMENT,
            source_id=f"console {uuid4()}",
            period=months.current(),
            amount_nanousd=amount_nanousd,
            actor=actor[:80],
            reason=reason[:200],
        )
