"""The fields `wallet` and `credits` of a workspace's limits in Valkey: included tokens, and what is left."""

from collections.abc import Iterable
from datetime import datetime

from core import months
from tenants.metering import plans
from tenants.metering.credits import MAX_CREDIT_NANOUSD, open_charges, open_credits, settle_charges
from tenants.models import Invoice, PlanVersion, Tenant

type Entry = tuple[int, str]  # nano-USD, and the months that it pays


def credit_fields(tenant: Tenant, version: PlanVersion, at: datetime) -> dict[str, str]:
    """Return the fields `wallet` and `credits` of a workspace, at a moment of Valkey's clock.

    `credits` is the wallet where credits bound what the workspace may use, else empty: admission reads no
    more then.
    """
    wallet = _wallet(tenant, at)
    return {"wallet": wallet, "credits": wallet if _is_bounded(tenant, version, at) else ""}


def _is_bounded(tenant: Tenant, version: PlanVersion, at: datetime) -> bool:
    """Return whether usage beyond the included tokens is refused without credits.

    It is not with overage, or where the cap lies within the included tokens, of this month and of the plan
    itself. A dearer plan earlier in the month includes more, but not in the next month, and the field may be
    read beyond the month's end.
    """
    if version.overage_allowed:
        return False
    included_tokens = _included_tokens(tenant, months.period_of(at))
    return min(included_tokens, version.included_tokens) < version.monthly_tokens


def _wallet(tenant: Tenant, at: datetime) -> str:
    """Return the field `wallet`.

    This month and the one before, the tokens included in each, and what was left of the grants
    before these two months, in burn order: `2026-11 2026-10 500000 500000 1000000:b 5000000:c`. An amount
    pays this month (c), the one before (p) or both (b). Requests of both may be open, so the script lets the
    month before burn first, by its account. Invoices that are final are not taken off here, so that late
    usage is counted too.
    """
    period = months.period_of(at)
    included_tokens = _included_tokens(tenant, period)
    previous = months.before(period)
    entries = _entries(tenant, previous, period)
    written = [f"{amount}:{covered}" for amount, covered in _merge(entries)]
    previous_tokens = _included_tokens(tenant, previous)
    return " ".join([period, previous, str(included_tokens), str(previous_tokens), *written])


def _entries(tenant: Tenant, previous: str, period: str) -> list[Entry]:
    credits = open_credits(tenant.pk, before=previous)
    credits = settle_charges(credits, open_charges(tenant, credits, until=months.before(previous)))
    # A void invoice gave its burns back: that month burns nothing.
    is_void = Invoice.objects.filter(tenant=tenant, period=previous, state=Invoice.State.VOID).exists()
    entries = []
    for credit in credits:
        pays_now = credit.covers(period)
        paid_before = credit.covers(previous) and not is_void
        if pays_now or paid_before:
            covered = "b" if pays_now and paid_before else "c" if pays_now else "p"
            entries.append((credit.left_nanousd, covered))
    return entries


def _merge(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries with neighbours of the same months as one: they burn one after the other anyway."""
    merged: list[Entry] = []
    for amount, covered in entries:
        before = merged.pop()[0] if merged and merged[-1][1] == covered else 0
        merged.append((min(before + amount, MAX_CREDIT_NANOUSD), covered))
    return merged


def _included_tokens(tenant: Tenant, period: str) -> int:
    """Return the tokens that a month includes: those of its plans by day, as on its invoice."""
    return plans.terms_of(tenant, period).included_tokens
