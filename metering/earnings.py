"""Authors' shares: booked with the usage of others, in the transaction that writes it; decided by month.

What of them is earned depends on the whole month, so it is decided again and again until the month's invoice
is paid:

- Included tokens take off a part of a month's cost (decision 25). The same part of each share is not earned.
- Promotional credits were paid by nobody. Goodwill gives back what somebody paid, so it counts. What they
  paid of a month counts for its usage and its trainings alike.
- An invoice that is not paid yet, or is void, earns nothing.
- Workspaces that had a member in common at any time of the month earn nothing from each other.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import F, Q, Sum

from core import months
from metering import plans, trainings
from metering.models import AuthorEarning, CreditBurn, CreditGrant, Invoice, StylePrice, UsageDaily
from metering.price_book import payable_nanousd
from tenants.models import FormerMember, Membership
from tenants.persons import person_of

# Joined to `metering_usageevent AS event`: the style's price that counted when the request was admitted (as
# `price_book.style_price_at`), if somebody earns a share of it.
PRICE_AT_ADMISSION = """
         JOIN LATERAL (
             SELECT author_id, author_percent FROM metering_styleprice
             WHERE style = event.style AND effective_from <= event.admitted_at
             ORDER BY effective_from DESC LIMIT 1
         ) AS price ON price.author_percent > 0 AND price.author_id <> event.tenant_id
"""

# Each request's share is rounded down by itself, so the sum does not depend on how requests are batched. Days
# are those of ADD_TO_DAYS in ledger.py.
ADD_TO_EARNINGS = f"""
    INSERT INTO metering_authorearning AS earning
        (author_id, tenant_id, style, style_name, day, requests, tokens, cost_nanousd, share_nanousd)
    SELECT price.author_id, event.tenant_id, event.style, max(event.style_name),
           least(greatest((admitted_at AT TIME ZONE 'UTC')::date, first), last) AS day, count(*),
           sum(prompt_tokens::bigint + completion_tokens), sum(cost_nanousd),
           sum(cost_nanousd * price.author_percent / 100)
    FROM metering_usageevent AS event {PRICE_AT_ADMISSION},
         LATERAL (SELECT (period || '-01')::date AS first) AS begin,
         LATERAL (SELECT (first + interval '1 month - 1 day')::date AS last) AS ending
    WHERE request_id = ANY(%s) AND period = ANY(%s) AND (prompt_tokens > 0 OR completion_tokens > 0)
    GROUP BY price.author_id, day, event.style, event.tenant_id
    ORDER BY price.author_id, day, event.style, event.tenant_id
    ON CONFLICT (author_id, day, style, tenant_id) DO UPDATE SET
        requests = earning.requests + excluded.requests,
        tokens = earning.tokens + excluded.tokens,
        cost_nanousd = earning.cost_nanousd + excluded.cost_nanousd,
        share_nanousd = earning.share_nanousd + excluded.share_nanousd
"""  # noqa: S608 - our own constant

# Of an author, a style and who used it: what a month's events make. The same rule for whole months.
SHARES_OF_EVENTS = f"""
    SELECT price.author_id, event.tenant_id, event.style,
           sum(event.cost_nanousd * price.author_percent / 100) AS share_nanousd
    FROM metering_usageevent AS event {PRICE_AT_ADMISSION}
    WHERE event.style IN (SELECT style FROM metering_styleprice WHERE author_percent > 0)
      AND event.period = %(period)s
      AND (event.prompt_tokens > 0 OR event.completion_tokens > 0)
    GROUP BY price.author_id, event.tenant_id, event.style
"""  # noqa: S608 - our own constant


def add_to_earnings(
    cursor: CursorWrapper, request_ids: list[str], periods: list[str], styles: Collection[UUID]
) -> None:
    """Book the authors' shares of usage events that were just written; with the events' months and styles.

    Call it in the transaction that writes the events.
    """
    # Most batches name no style with a share: one cheap query instead of the long statement.
    shared = StylePrice.objects.filter(style__in=styles, author_percent__gt=0)
    if shared.exists():
        cursor.execute(ADD_TO_EARNINGS, [request_ids, periods])


MONTHS_DECIDED = 12  # so long after its month an invoice may be paid

# In the order in which ADD_TO_EARNINGS locks rows, so that the two can't wait for each other.
DECIDE = """
    WITH decided AS (
        SELECT id, CASE WHEN shares_member THEN 0
                   ELSE div(share_nanousd::numeric * part.paid, part.cost)::bigint END AS earned_nanousd
        FROM metering_authorearning AS earning
             JOIN unnest(%(tenants)s::uuid[], %(paid)s::numeric[], %(cost)s::numeric[])
                  AS part (tenant_id, paid, cost) USING (tenant_id)
        WHERE day >= %(start)s AND day < %(end)s
        ORDER BY author_id, day, style, tenant_id
        FOR NO KEY UPDATE OF earning
    )
    UPDATE metering_authorearning AS earning SET earned_nanousd = decided.earned_nanousd
    FROM decided
    WHERE earning.id = decided.id AND earning.earned_nanousd IS DISTINCT FROM decided.earned_nanousd
"""

type Pairs = set[tuple[UUID, UUID]]  # author, user


def decide_shares(now: datetime, *, months_back: int = MONTHS_DECIDED) -> int:
    """Decide what is earned in this month and some before it; return how many rows changed.

    Of a month whose invoices are not final it is what they will say if all are paid. Safe to repeat.
    """
    period = months.period_of(now)
    changed = 0
    for _ in range(months_back + 1):
        changed += _decide_month(period)
        period = months.before(period)
    return changed


def _decide_month(period: str) -> int:
    start, end = months.bounds(period)
    rows = AuthorEarning.objects.filter(day__gte=start.date(), day__lt=end.date())
    pairs: Pairs = set(rows.order_by().values_list("author_id", "tenant_id").distinct())
    if not pairs:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        for author_id, tenant_id in _find_related(pairs, start, end):
            # It stays so when that member leaves: else leaving would earn the shares.
            related = rows.filter(author=author_id, tenant=tenant_id, shares_member=False)
            related.update(shares_member=True)
        parts = _find_paid({tenant_id for _, tenant_id in pairs}, period)
        columns: dict[str, Any] = {
            "tenants": list(parts),
            "paid": [paid for paid, _ in parts.values()],
            "cost": [max(1, cost) for _, cost in parts.values()],
        }
        cursor.execute(DECIDE, {**columns, "start": start.date(), "end": end.date()})
        return int(cursor.rowcount)


def _find_related(pairs: Pairs, start: datetime, end: datetime) -> Pairs:
    """Return the pairs that had a member in common within [start, end), at the same time or not."""
    tenant_ids = {tenant_id for pair in pairs for tenant_id in pair}
    persons: defaultdict[UUID, set[str]] = defaultdict(set)
    present = Membership.objects.filter(tenant__in=tenant_ids, created_at__lt=end)
    for membership in present.select_related("user"):
        persons[membership.tenant_id].add(person_of(membership.user))
    former = FormerMember.objects.filter(tenant__in=tenant_ids, left_at__gte=start)
    for tenant_id, person in former.values_list("tenant_id", "person"):
        persons[tenant_id].add(person)
    return {(author, user) for author, user in pairs if persons[author] & persons[user]}


def _find_paid(tenant_ids: Collection[UUID], period: str) -> dict[UUID, tuple[int, int]]:
    """Return workspace → what of a month's usage was paid or is to be, and what it cost, in nano-USD."""
    start, end = months.bounds(period)
    days = UsageDaily.objects.filter(tenant__in=tenant_ids, day__gte=start.date(), day__lt=end.date())
    sums = days.values_list("tenant").annotate(
        tokens=Sum(F("prompt_tokens") + F("completion_tokens")), cost=Sum("cost_nanousd")
    )
    included = plans.included_tokens(tenant_ids, start, end)
    invoices = Invoice.objects.filter(tenant__in=tenant_ids, period=period)
    states = dict(invoices.values_list("tenant_id", "state"))
    gifts = _sum_gifts(tenant_ids, period)
    trained = trainings.charged_by_tenant(period, tenant_ids)
    parts = dict.fromkeys(tenant_ids, (0, 0))
    for tenant_id, tokens, cost in sums:
        payable = payable_nanousd(int(cost), int(tokens), included[tenant_id])
        owed = payable + trained.get(tenant_id, 0)
        paid = payable - gifts.get(tenant_id, 0) * payable // max(1, owed)
        if states.get(tenant_id) in (Invoice.State.FINALIZED, Invoice.State.VOID):
            paid = 0
        parts[tenant_id] = (max(0, paid), int(cost))
    return parts


def _sum_gifts(tenant_ids: Collection[UUID], period: str) -> dict[UUID, int]:
    """Return what credits that we gave away burned for a month on invoices."""
    burns = CreditBurn.objects.filter(~Q(invoice=None), grant__tenant__in=tenant_ids, period=period)
    burns = burns.filter(grant__source=CreditGrant.Source.PROMOTION)
    return dict(burns.values_list("grant__tenant").annotate(Sum("amount_nanousd")))
