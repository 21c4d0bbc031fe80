"""Credits: granted, burned by usage beyond a plan's included tokens, expired. What is left is derived.

A credit pays usage, and trainings of styles, of the months from its first to its last one. Invoices write
what they burn when they are finalized. For months without a final invoice the same function computes it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from core import months
from core.errors import Conflict, Invalid
from core.messages import NO_MESSAGE, Message, MessageCode
from events.models import EventType
from events.outbox import record_event
from metering import plans, trainings
from metering.models import CreditBurn, CreditGrant, Invoice, InvoiceLine, LedgerEntry, UsageDaily
from metering.price_book import payable_nanousd
from tenants.models import Tenant

Source = CreditGrant.Source
DEFAULT_PRIORITY = 100  # the lower one burns first
NEVER = "9999-12"  # sorts behind every last month
MAX_CREDIT_NANOUSD = 2**53  # Valkey's Lua counts exactly up to here


class GrantName(MessageCode):
    """What an invoice calls credits that were granted without a reason: one for each source."""

    PROMOTION = _("Promotion of {day}")
    TOP_UP = _("top-up on {day}")
    AUTHOR_SHARE = _("author's share of {day}")
    GOODWILL = _("Goodwill credit of {day}")


class GrantReason(MessageCode):
    """Why credits were granted, where no operator wrote it."""

    TOP_UP = _("Top-up {payment}")
    AUTO_TOP_UP = _("Automatic top-up {payment}")
    PAID_TWICE = _("Invoice {payment}")
    EARNED = _("Author's share of usage until the end of {period}")
    KEPT = _("Kept from the invoice of {period}")


class DifferentGrant(Conflict):
    """{source} {source_id} was already granted with a different amount or to a different workspace."""

    code = "credit_source_used"


class BadCredit(Invalid):
    """Credits must be more than $0 and at most $9,000,000, and can't expire before {period}."""

    code = "invalid_credit"


@dataclass(frozen=True)
class Credit:
    """What is left of one grant, and the months whose usage it pays."""

    grant_id: int
    left_nanousd: int
    first_period: str
    last_period: str  # empty: it never expires
    name: Message = NO_MESSAGE  # as an invoice's line shows it

    def covers(self, period: str) -> bool:
        """Return whether it pays usage of a month."""
        return self.first_period <= period <= (self.last_period or NEVER)


@dataclass(frozen=True)
class Burn:
    """What the usage of one month takes from one grant."""

    grant_id: int
    period: str
    amount_nanousd: int


class Invoiced(NamedTuple):
    """What final invoices have of a month, in nano-USD; what the included tokens took off is negative."""

    usage: int
    included: int
    trainings: int


NOT_INVOICED = Invoiced(0, 0, 0)


def grant_credit(
    tenant: Tenant,
    amount_nanousd: int,
    *,
    source: str,
    source_id: str,
    reason: str | Message,
    actor: str,
    priority: int = DEFAULT_PRIORITY,
    last_period: str = "",
    now: datetime | None = None,
) -> CreditGrant:
    """Return a new grant, with its ledger entry; it counts from the next request on.

    It pays usage of the present month too, also what came before it. Safe to repeat: a source grants once,
    and the second call returns the first one's grant. Raises BadCredit, and DifferentGrant when the source
    has granted something else.
    """
    period = months.period_of(now or timezone.now())
    why = Message.of(reason)
    if not 0 < amount_nanousd <= MAX_CREDIT_NANOUSD or (last_period and last_period < period):
        raise BadCredit(period=period)
    with transaction.atomic():
        # Held until the commit: an invoice that is finalized meanwhile could miss this grant.
        lock_tenant(tenant.pk)
        grant, is_new = CreditGrant.objects.get_or_create(
            source=source,
            source_id=source_id,
            defaults={
                "tenant": tenant,
                "amount_nanousd": amount_nanousd,
                "priority": priority,
                "first_period": period,
                "last_period": last_period,
                "reason": why,
                "actor": actor[:80],
            },
        )
        if not is_new:
            # A repeated call is no fault. The same source with another amount is.
            if (grant.tenant_id, grant.amount_nanousd) != (tenant.pk, amount_nanousd):
                raise DifferentGrant(source=grant.get_source_display(), source_id=source_id)
            return grant
        # A top-up is money that came in; no other grant is.
        is_paid = source == Source.TOP_UP
        LedgerEntry.objects.create(
            tenant=tenant,
            kind=LedgerEntry.Kind.PAYMENT if is_paid else LedgerEntry.Kind.GRANT,
            source_id=f"{source}:{source_id}",
            period=period,
            amount_nanousd=-amount_nanousd,
            actor=actor[:80],
            reason=why.in_english()[:200],
        )
        record_event(tenant.pk, EventType.CREDIT_GRANTED, grant)
        return grant


def burn_credits(credits: Sequence[Credit], charges: Mapping[str, int]) -> list[Burn]:
    """Return what the charges of some months (nano-USD) take from credits that stand in burn order.

    The months burn one after the other. What no credit covers is not in it.
    """
    left = {credit.grant_id: credit.left_nanousd for credit in credits}
    burns = []
    # The older month first, for a grant may pay both.
    for period in sorted(charges):
        owed = charges[period]
        for credit in credits:
            amount = min(owed, left[credit.grant_id]) if credit.covers(period) else 0
            if amount > 0:
                burns.append(Burn(credit.grant_id, period, amount))
                left[credit.grant_id] -= amount
                owed -= amount
    return burns


def settle_charges(credits: Sequence[Credit], charges: Mapping[str, int]) -> list[Credit]:
    """Apply the charges of some months to credits in burn order; return all of them with what is left."""
    burned: dict[int, int] = {}
    for burn in burn_credits(credits, charges):
        burned[burn.grant_id] = burned.get(burn.grant_id, 0) + burn.amount_nanousd
    left = []
    for credit in credits:
        left_nanousd = credit.left_nanousd - burned.get(credit.grant_id, 0)
        left.append(replace(credit, left_nanousd=left_nanousd))
    return left


def open_credits(tenant_id: UUID, *, before: str = "") -> list[Credit]:
    """Return what invoices have left of a workspace's grants, in burn order: priority, last month, age.

    With `before`, what had been left before the invoices burned for that month and later ones.
    """
    counted = Q(burns__period__lt=before) | Q(burns__invoice=None) if before else Q()
    burned = Sum("burns__amount_nanousd", filter=counted, default=0)
    grants = CreditGrant.objects.filter(tenant=tenant_id).annotate(burned=burned)
    credits = []
    # Sorted here: in SQL an empty last month, which never ends, would come first.
    for grant in sorted(grants.filter(amount_nanousd__gt=F("burned")), key=_burn_order):
        left = grant.amount_nanousd - grant.burned
        name = grant.reason or _name_grant(grant)
        credits.append(Credit(grant.pk, left, grant.first_period, grant.last_period, name))
    return credits


def _name_grant(grant: CreditGrant) -> Message:
    """Return what an invoice calls credits."""
    return GrantName[Source(grant.source).name](day=f"{grant.created_at:%Y-%m-%d}")


def credits_left(tenant: Tenant, period: str) -> int:
    """Return the nano-USD that are left for usage of a month, after that month's own usage until now."""
    credits = [credit for credit in left_of_grants(tenant, period) if credit.covers(period)]
    return sum(credit.left_nanousd for credit in credits)


def left_of_grants(tenant: Tenant, period: str) -> list[Credit]:
    """Return what is left of each grant after the usage of a month and of all before it, in burn order.

    Grants that invoices have used up, or that expired, are not in it.
    """
    credits = open_credits(tenant.pk)
    return settle_charges(credits, open_charges(tenant, credits, until=period))


def month_credits(tenant: Tenant, period: str) -> tuple[int, int]:
    """Return the nano-USD of credits that a month's usage has burned until now, and all that it could."""
    credits = open_credits(tenant.pk)
    charges = open_charges(tenant, credits, until=period)
    burns = burn_credits(credits, charges)
    burned = sum(burn.amount_nanousd for burn in burns if burn.period == period)
    left = [credit for credit in settle_charges(credits, charges) if credit.covers(period)]
    return burned, burned + sum(credit.left_nanousd for credit in left)


def open_charges(tenant: Tenant, credits: Sequence[Credit], *, until: str) -> dict[str, int]:
    """Return month → nano-USD that no final invoice has, up to a month: what credits pay for.

    That is usage beyond the included tokens, and trainings. The months are those that some credit covers.
    Reads usage by day, so it is quick.
    """
    covered = [credit.first_period for credit in credits]
    if not covered:
        return {}
    invoiced = _invoiced_charges(tenant.pk)
    usage = _usage_by_month(tenant.pk, min(covered), until)
    trained = trainings.read_costs(tenant.pk, min(covered), until).charged_nanousd
    charges = {}
    for period in usage.keys() | trained.keys():
        done = invoiced.get(period, NOT_INVOICED)
        charge = trained.get(period, 0) - done.trainings
        tokens, nanousd = usage.get(period, (0, 0))
        # Unless all of it is on final invoices, which wrote their own burns.
        if nanousd != done.usage:
            included_tokens = plans.terms_of(tenant, period).included_tokens
            charge += payable_nanousd(nanousd, tokens, included_tokens) - done.usage - done.included
        if charge > 0:
            charges[period] = charge
    return charges


def expire_credits(tenant: Tenant, period: str) -> int:
    """Take what is left of the grants whose last month is that one or an earlier one; return how much.

    Nothing expires while usage up to that month waits for its invoice, which may burn of them. Safe to
    repeat.
    """
    expired = 0
    with transaction.atomic():
        lock_tenant(tenant.pk)
        credits = open_credits(tenant.pk)
        if open_charges(tenant, credits, until=period):
            return 0
        for credit in credits:
            if credit.last_period and credit.last_period <= period:
                _expire(credit)
                expired += credit.left_nanousd
    return expired


def workspaces_with_ended_credits(period: str) -> QuerySet[Tenant]:
    """Return the workspaces with something left of grants whose last month is that one or an earlier one."""
    expired = CreditBurn.objects.filter(invoice=None).values("grant")
    ended = CreditGrant.objects.filter(last_period__lte=period).exclude(last_period="")
    unexpired = ended.exclude(pk__in=expired).alias(burned=Sum("burns__amount_nanousd", default=0))
    tenants = unexpired.filter(amount_nanousd__gt=F("burned")).values("tenant")
    return Tenant.objects.filter(pk__in=tenants).order_by("pk")


def expire_ended_credits(period: str, tenant_ids: Collection[UUID] | None = None) -> int:
    """Expire the grants of all workspaces, or of some, whose last month is that one or an earlier one.

    Returns of how many. Call it once no request of that month is open. Workspaces that wait for an invoice
    are left out.
    """
    tenants = workspaces_with_ended_credits(period)
    if tenant_ids is not None:
        tenants = tenants.filter(pk__in=tenant_ids)
    return sum(expire_credits(tenant, period) > 0 for tenant in tenants)


def book_burns(invoice: Invoice, burns: Iterable[Burn]) -> None:
    """Write what an invoice burns. Call it in the transaction that finalizes it."""
    rows = []
    for burn in burns:
        row = CreditBurn(
            grant_id=burn.grant_id,
            invoice=invoice,
            period=burn.period,
            amount_nanousd=burn.amount_nanousd,
        )
        rows.append(row)
    CreditBurn.objects.bulk_create(rows)


def give_back(invoice: Invoice) -> int:
    """Give back what a void invoice had burned, but of grants that expired since; return how much.

    Call it in the transaction that makes it void.
    """
    expired = CreditBurn.objects.filter(invoice=None).values("grant")
    rows = []
    # What would come back to an expired grant would never be used, and its expiry is in the ledger.
    for burn in invoice.credit_burns.exclude(grant__in=expired):
        row = CreditBurn(
            grant_id=burn.grant_id,
            invoice=invoice,
            period=burn.period,
            amount_nanousd=-burn.amount_nanousd,
        )
        rows.append(row)
    CreditBurn.objects.bulk_create(rows)
    return -sum(row.amount_nanousd for row in rows)


def lock_tenant(tenant_id: UUID) -> None:
    """Let one at a time change a workspace's credits and invoices."""
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)


def _burn_order(grant: CreditGrant) -> tuple[int, str, int]:
    return grant.priority, grant.last_period or NEVER, grant.pk


def _expire(credit: Credit) -> None:
    grant = CreditGrant.objects.get(pk=credit.grant_id)
    CreditBurn.objects.create(
        grant=grant, invoice=None, period=grant.last_period, amount_nanousd=credit.left_nanousd
    )
    LedgerEntry.objects.create(
        tenant_id=grant.tenant_id,
        kind=LedgerEntry.Kind.GRANT,
        source_id=f"expiry:{grant.pk}",
        period=grant.last_period,
        amount_nanousd=credit.left_nanousd,
        reason=f"Credits expired at the end of {grant.last_period}",
    )
    record_event(grant.tenant_id, EventType.CREDIT_EXPIRED, grant, expired_nanousd=credit.left_nanousd)


def _usage_by_month(tenant_id: UUID, first: str, last: str) -> dict[str, tuple[int, int]]:
    """Return month → (tokens, nano-USD) of the months with usage."""
    start = months.bounds(first)[0].date()
    end = months.bounds(last)[1].date()
    days = UsageDaily.objects.filter(tenant=tenant_id, day__gte=start, day__lt=end)
    by_month = days.order_by().annotate(month=TruncMonth("day")).values_list("month")
    sums = by_month.annotate(
        tokens=Sum(F("prompt_tokens") + F("completion_tokens")), nanousd=Sum("cost_nanousd")
    )
    return {f"{month:%Y-%m}": (int(tokens), int(nanousd)) for month, tokens, nanousd in sums}


def _invoiced_charges(tenant_id: UUID) -> dict[str, Invoiced]:
    """Return month → what final invoices have of it."""
    lines = InvoiceLine.objects.filter(invoice__tenant=tenant_id).exclude(invoice__state=Invoice.State.DRAFT)
    sums = (
        lines.order_by()
        .values_list("invoice__period")
        .annotate(
            usage=Sum("amount_nanousd", filter=Q(kind=InvoiceLine.Kind.USAGE), default=0),
            included=Sum("amount_nanousd", filter=Q(kind=InvoiceLine.Kind.INCLUDED), default=0),
            trainings=Sum("amount_nanousd", filter=Q(kind=InvoiceLine.Kind.TRAINING), default=0),
        )
    )
    return {period: Invoiced(*map(int, amounts)) for period, *amounts in sums}
