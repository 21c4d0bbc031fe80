"""Compare what is written in several places of a month's usage. Nothing here changes anything."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import F, Q, Sum

from core import months
from metering import credits, partitions, plans, trainings
from metering.earnings import SHARES_OF_EVENTS
from metering.ledger import usage_of
from metering.models import (
    CreditBurn,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Subscription,
    TrainingHold,
    UsageDaily,
    UsageEvent,
)
from metering.price_book import payable_nanousd
from tenants.models import Tenant

MAX_NAMED = 20  # requests of one workspace

# One statement, so one moment: a drain that commits meanwhile is in all sums or in none.
SUMS = """
    SELECT source, tenant_id, sum(tokens), sum(nanousd)
    FROM (
        SELECT 'ledger' AS source, tenant_id, tokens, amount_nanousd AS nanousd
        FROM metering_ledgerentry WHERE period = %(period)s AND kind = 'usage'
        UNION ALL
        SELECT 'events', tenant_id, prompt_tokens::bigint + completion_tokens, cost_nanousd
        FROM metering_usageevent WHERE period = %(period)s
        UNION ALL
        SELECT 'days', tenant_id, prompt_tokens + completion_tokens, cost_nanousd
        FROM metering_usagedaily WHERE day >= %(start)s AND day < %(end)s
    ) AS usage
    GROUP BY source, tenant_id
"""

# The requests of a workspace whose event and ledger entry differ, or of which one is missing.
REQUESTS = """
    SELECT coalesce(event.request_id, entry.source_id), event.cost_nanousd, entry.amount_nanousd
    FROM (SELECT request_id, cost_nanousd FROM metering_usageevent
          WHERE tenant_id = %(tenant)s AND period = %(period)s
            AND (prompt_tokens > 0 OR completion_tokens > 0)) AS event
    FULL JOIN (SELECT source_id, amount_nanousd FROM metering_ledgerentry
               WHERE tenant_id = %(tenant)s AND period = %(period)s AND kind = 'usage') AS entry
        ON entry.source_id = event.request_id
    WHERE event.cost_nanousd IS DISTINCT FROM entry.amount_nanousd
    ORDER BY 1 LIMIT %(most)s
"""

# What the month's events make, beside what was booked with them.
EARNINGS = f"""
    SELECT author_id, tenant_id, style, sum(made), sum(booked)
    FROM (
        SELECT author_id, tenant_id, style, share_nanousd AS made, 0 AS booked
        FROM ({SHARES_OF_EVENTS}) AS of_events
        UNION ALL
        SELECT author_id, tenant_id, style, 0, share_nanousd
        FROM metering_authorearning WHERE day >= %(start)s AND day < %(end)s
    ) AS shares
    GROUP BY author_id, tenant_id, style HAVING sum(made) <> sum(booked)
"""  # noqa: S608 - our own constant


class Amount(NamedTuple):
    """What one place has: tokens and nano-USD."""

    tokens: int = 0
    nanousd: int = 0


@dataclass(frozen=True)
class Disagreement:
    """Two places that differ about one workspace's month, and the requests that are to blame, where known."""

    workspace: str
    places: tuple[str, str]
    amounts: tuple[Amount, Amount]
    requests: tuple[str, ...] = ()

    def __str__(self) -> str:
        (first, second), (one, other) = self.places, self.amounts
        text = (
            f"{self.workspace}: {first} {one.tokens:,} tokens and {one.nanousd:,} nano-USD, "
            f"{second} {other.tokens:,} and {other.nanousd:,}"
        )
        return f"{text}: {', '.join(self.requests)}" if self.requests else text


def compare_usage(period: str) -> list[Disagreement]:
    """Return where ledger, usage events and usage by day differ about a month, workspace by workspace.

    Of a month whose events were deleted, ledger and days are compared. Raises ValueError for a malformed
    period.
    """
    amounts: defaultdict[UUID, dict[str, Amount]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(SUMS, _parameters(period))
        for place, tenant_id, tokens, nanousd in cursor.fetchall():
            amounts[tenant_id][place] = Amount(int(tokens), int(nanousd))
    compared = ("ledger", "days") if _are_events_deleted(period) else ("ledger", "events", "days")
    slugs = dict(Tenant.objects.filter(pk__in=amounts).values_list("pk", "slug"))
    found = []
    for tenant_id, by_place in amounts.items():
        for first, second in combinations(compared, 2):
            one, other = by_place.get(first, Amount()), by_place.get(second, Amount())
            if one != other:
                requests = _differing_requests(tenant_id, period) if second == "events" else ()
                found.append(Disagreement(slugs[tenant_id], (first, second), (one, other), requests))
    return found


def compare_invoices(period: str) -> list[str]:
    """Return which invoices of a month are not the sum of their lines."""
    summed = Invoice.objects.filter(period=period).annotate(sum=Sum("lines__amount_nanousd", default=0))
    wrong = summed.exclude(sum=F("total_nanousd")).select_related("tenant")
    return [f"{one.tenant.slug}: {one} is {one.total_nanousd:,}, its lines {one.sum:,}" for one in wrong]


def compare_credits(period: str) -> list[str]:
    """Return where credits of a month do not add up: invoices, and workspaces that used more than they had.

    A workspace that was on a plan with overage within the month may owe what no credit covers.
    """
    return [*_compare_burns(period), *_find_overspent(period)]


def compare_trainings(period: str) -> list[str]:
    """Return where trainings of a month were charged more than was held for them, or invoiced otherwise."""
    entries = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.TRAINING, period=period)
    entries = entries.select_related("tenant").order_by("pk")
    holds = TrainingHold.objects.in_bulk([UUID(entry.source_id) for entry in entries])
    wrong = []
    for entry in entries:
        hold = holds.get(UUID(entry.source_id))
        training = f"{entry.tenant.slug}: training {entry.source_id}"
        if hold is None or hold.settled_at is None:
            wrong.append(f"{training} is charged {entry.amount_nanousd:,} nano-USD, and no hold was settled")
        elif entry.amount_nanousd > hold.nanousd or entry.tokens * hold.token_nanousd != entry.amount_nanousd:
            wrong.append(
                f"{training} is charged {entry.amount_nanousd:,} nano-USD for {entry.tokens:,} tokens, "
                f"and {hold.nanousd:,} were held"
            )
    return [*wrong, *_compare_invoiced_trainings(period)]


def compare_earnings(period: str) -> list[str]:
    """Return where authors' shares of a month are not what its usage events make.

    Nothing is left to compare once these were deleted. Raises ValueError for a malformed period.
    """
    if _are_events_deleted(period):
        return []
    with connection.cursor() as cursor:
        cursor.execute(EARNINGS, _parameters(period))
        differing = cursor.fetchall()
    tenant_ids = {tenant_id for author_id, user_id, *_ in differing for tenant_id in (author_id, user_id)}
    slugs = dict(Tenant.objects.filter(pk__in=tenant_ids).values_list("pk", "slug"))
    wrong = []
    for author_id, user_id, style, made, booked in differing:
        share = f"share of {slugs[user_id]}'s usage of style {style}"
        wrong.append(f"{slugs[author_id]}: {share}: events {made:,} nano-USD, booked {booked:,}")
    return sorted(wrong)


def find_uninvoiced(period: str) -> list[str]:
    """Return the workspaces with usage of a month that is on no final invoice, of those who get any."""
    used = LedgerEntry.objects.filter(period=period, kind=LedgerEntry.Kind.USAGE)
    # The first party gets no invoices.
    billed = used.filter(tenant__is_first_party=False).order_by().values_list("tenant__slug")
    lines = InvoiceLine.objects.filter(kind=InvoiceLine.Kind.USAGE, invoice__period=period).order_by()
    final = lines.exclude(invoice__state=Invoice.State.DRAFT).values_list("invoice__tenant__slug")
    invoiced = dict(final.annotate(Sum("amount_nanousd")))
    wrong = []
    for slug, nanousd in billed.annotate(Sum("amount_nanousd")).order_by("tenant__slug"):
        if nanousd != invoiced.get(slug, 0):
            wrong.append(f"{slug}: {nanousd:,} nano-USD used, {invoiced.get(slug, 0):,} on a final invoice")
    return wrong


def _are_events_deleted(period: str) -> bool:
    """Return whether a month is older than all that have a partition, and has no events."""
    return period < partitions.oldest_month() and not UsageEvent.objects.filter(period=period).exists()


def _compare_burns(period: str) -> list[str]:
    """Return which final invoices have other credits on their lines than they burned."""
    final = Invoice.objects.filter(period=period).exclude(state=Invoice.State.DRAFT).select_related("tenant")
    wrong = []
    for invoice in final:
        shown = invoice.lines.filter(kind=InvoiceLine.Kind.CREDIT)
        shown_nanousd = -shown.aggregate(total=Sum("amount_nanousd", default=0))["total"]
        burned = invoice.credit_burns.filter(amount_nanousd__gt=0)
        burned_nanousd = burned.aggregate(total=Sum("amount_nanousd", default=0))["total"]
        if shown_nanousd != burned_nanousd:
            text = f"{invoice.tenant.slug}: {invoice} takes off {shown_nanousd:,} nano-USD of credits"
            wrong.append(f"{text}, and burned {burned_nanousd:,}")
    return wrong


def _compare_invoiced_trainings(period: str) -> list[str]:
    """Return which final invoices of a month have other trainings on their lines than the ledger."""
    charged = trainings.charged_by_tenant(period)
    final = Invoice.objects.filter(period=period).exclude(state=Invoice.State.DRAFT).select_related("tenant")
    of_trainings = Sum("lines__amount_nanousd", filter=Q(lines__kind=InvoiceLine.Kind.TRAINING), default=0)
    wrong = []
    for invoice in final.annotate(trained=of_trainings):
        booked = charged.get(invoice.tenant_id, 0)
        if invoice.trained != booked:
            text = f"{invoice.tenant.slug}: {invoice} has {invoice.trained:,} nano-USD of trainings"
            wrong.append(f"{text}, the ledger {booked:,}")
    return wrong


def _find_overspent(period: str) -> list[str]:
    """Return which workspaces without overage owe for a month's usage and trainings what no credit covers."""
    start, end = months.bounds(period)
    used = UsageDaily.objects.filter(day__gte=start.date(), day__lt=end.date()).values("tenant")
    trained = trainings.charged_by_tenant(period)
    with_overage = Subscription.objects.within(start, end).filter(plan_version__overage_allowed=True)
    charged = Tenant.objects.filter(Q(pk__in=used) | Q(pk__in=trained))
    found = []
    for tenant in charged.exclude(pk__in=with_overage.values("tenant")):
        # What was held in an earlier month was covered there, and its credits may have ended with it.
        overspent = _overspent_nanousd(tenant, period) - _held_earlier_nanousd(tenant, period)
        if overspent > 0:
            found.append(f"{tenant.slug}: {overspent:,} nano-USD more than its credits")
    return found


def _overspent_nanousd(tenant: Tenant, period: str) -> int:
    """Return what a month's usage costs beyond included tokens, with its trainings, beyond credits."""
    usage = usage_of(tenant.pk, period)
    terms = plans.terms_of(tenant, period)
    payable = payable_nanousd(usage.nanousd, usage.tokens, terms.included_tokens)
    payable += trainings.charged_nanousd(tenant.pk, period)
    if not payable:
        return 0
    paid = CreditBurn.objects.filter(grant__tenant=tenant, period=period, amount_nanousd__gt=0)
    # Burns without an invoice are what expired: they paid nothing.
    paid_nanousd = paid.exclude(invoice=None).aggregate(total=Sum("amount_nanousd", default=0))["total"]
    left = credits.open_credits(tenant.pk)
    burns = credits.burn_credits(left, credits.open_charges(tenant, left, until=period))
    to_be_paid = sum(burn.amount_nanousd for burn in burns if burn.period == period)
    return int(payable - paid_nanousd - to_be_paid)


def _held_earlier_nanousd(tenant: Tenant, period: str) -> int:
    """Return what a month was charged for trainings that were held in an earlier one."""
    earlier = TrainingHold.objects.filter(tenant=tenant, period__lt=period).exclude(settled_at=None)
    source_ids = [str(training) for training in earlier.values_list("training", flat=True)]
    charges = trainings.list_charges(tenant.pk, period).filter(source_id__in=source_ids)
    return int(charges.aggregate(total=Sum("amount_nanousd", default=0))["total"])


def _differing_requests(tenant_id: UUID, period: str) -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute(REQUESTS, {**_parameters(period), "tenant": tenant_id, "most": MAX_NAMED})
        return tuple(request_id for request_id, _, _ in cursor.fetchall())


def _parameters(period: str) -> dict[str, Any]:
    start, end = months.bounds(period)
    return {
        "period": period,
        "start": start.date(),
        "end": end.date(),
    }
