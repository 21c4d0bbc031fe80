"""Trainings of styles: what a trained token costs, what months were charged for them, and what is held.

Trained tokens are no usage: no plan includes them, no cap counts them. A training is charged once, when it
ends, and never more than was held for it before its start (quota_sync/training_holds.py).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Count, F, Max, Min, QuerySet, Sum

from metering import price_book
from metering.models import LedgerEntry, TrainingHold
from tenants.models import Tenant

Kind = LedgerEntry.Kind

# One statement, so one moment. Between two, a settlement would move an amount from the holds to the ledger,
# and it would be in neither sum: admission would let through more than is left.
COSTS = """
    SELECT period, sum(amount_nanousd) FROM metering_ledgerentry
    WHERE tenant_id = %(tenant)s AND kind = 'training' AND period BETWEEN %(first)s AND %(last)s
    GROUP BY period
    UNION ALL
    SELECT '', sum(nanousd) FROM metering_traininghold WHERE tenant_id = %(tenant)s AND settled_at IS NULL
"""


@dataclass(frozen=True)
class TrainingCosts:
    """Nano-USD of a workspace's trainings: what months were charged, and what open holds reserve.

    A hold counts in whichever month is looked at: its training may end in it.
    """

    charged_nanousd: Mapping[str, int] = field(default_factory=dict)
    held_nanousd: int = 0

    def in_month(self, period: str) -> int:
        """Return what a month has been charged until now, with all that is held."""
        return self.charged_nanousd.get(period, 0) + self.held_nanousd


@dataclass(frozen=True)
class ChargedTokens:
    """Trained tokens of a month at one price, with their ledger entries."""

    tokens: int
    token_nanousd: int
    cost_nanousd: int
    trainings: int
    first_entry: int
    last_entry: int


def price_at(tenant: Tenant, at: datetime) -> int:
    """Return what a trained token costs a workspace at a moment, in nano-USD; the first party pays nothing.

    It is 0 before the first price book.
    """
    if tenant.is_first_party:
        return 0
    book = price_book.book_at(at)
    return book.trained_token_nanousd if book else 0


def announced_prices(at: datetime) -> list[tuple[datetime, int]]:
    """Return what a trained token costs from which moments on: at that moment, and where it changes later."""
    prices: list[tuple[datetime, int]] = []
    for book in price_book.books_from(at):
        if not prices or book.trained_token_nanousd != prices[-1][1]:
            prices.append((book.effective_from, book.trained_token_nanousd))
    return prices


def read_costs(tenant_id: UUID, first: str, last: str) -> TrainingCosts:
    """Return what the months from one to another were charged, and what is held, all at one moment."""
    with connection.cursor() as cursor:
        cursor.execute(COSTS, {"tenant": tenant_id, "first": first, "last": last})
        sums = {period: int(nanousd or 0) for period, nanousd in cursor.fetchall()}
    held_nanousd = sums.pop("")
    return TrainingCosts(sums, held_nanousd)


def charged_nanousd(tenant_id: UUID, period: str) -> int:
    """Return what a month has been charged for trainings until now."""
    return read_costs(tenant_id, period, period).charged_nanousd.get(period, 0)


def open_holds_nanousd(tenant_id: UUID) -> int:
    """Return what a workspace's open trainings hold of its budget and credits."""
    open_holds = TrainingHold.objects.open().filter(tenant=tenant_id)
    return int(open_holds.aggregate(total=Sum("nanousd", default=0))["total"])


def charged_tokens(tenant_id: UUID, period: str) -> list[ChargedTokens]:
    """Return a month's trained tokens by their price, the lowest first."""
    # A training's amount is its tokens times its price, so the quotient is exact.
    entries = list_charges(tenant_id, period).order_by()
    by_price = entries.annotate(price=F("amount_nanousd") / F("tokens")).values("price").order_by("price")
    rows = by_price.annotate(
        all_tokens=Sum("tokens"),
        cost=Sum("amount_nanousd"),
        trainings=Count("pk"),
        first=Min("pk"),
        last=Max("pk"),
    )
    return [
        ChargedTokens(
            tokens=int(row["all_tokens"]),
            token_nanousd=int(row["price"]),
            cost_nanousd=int(row["cost"]),
            trainings=int(row["trainings"]),
            first_entry=row["first"],
            last_entry=row["last"],
        )
        for row in rows
    ]


def list_charges(tenant_id: UUID, period: str) -> QuerySet[LedgerEntry]:
    """Return the ledger entries of a month's trainings, the newest first."""
    entries = LedgerEntry.objects.filter(tenant=tenant_id, period=period, kind=Kind.TRAINING)
    return entries.order_by("-pk")


def charged_by_tenant(period: str, tenant_ids: Collection[UUID] | None = None) -> dict[UUID, int]:
    """Return tenant → what a month was charged for trainings, of those with some; one query."""
    entries = LedgerEntry.objects.filter(period=period, kind=Kind.TRAINING)
    if tenant_ids is not None:
        entries = entries.filter(tenant__in=tenant_ids)
    sums = entries.order_by().values_list("tenant").annotate(Sum("amount_nanousd"))
    return {tenant_id: int(nanousd) for tenant_id, nanousd in sums}


def charge_of(training_id: UUID) -> int | None:
    """Return what a training was charged; None if it was not, or not yet."""
    entries = LedgerEntry.objects.filter(kind=Kind.TRAINING, source_id=str(training_id))
    return entries.values_list("amount_nanousd", flat=True).first()
