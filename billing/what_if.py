"""What a month's usage would have cost under other prices. It reads invoices and changes nothing.

The lines of a month's invoices, drafts too, are its ledger's usage by workspace, style, meter and price. So
this takes as long with ten million requests as with ten.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from django.db.models import F, Max, Sum

from core import months
from tenants.metering import price_book
from tenants.metering.pricing import payable_nanousd
from tenants.models import InvoiceLine, LedgerEntry, Price, UsageDaily

BASE_MODEL_NAME = "base"  # in usage
METERS = ("input", "cached input", "output")
TRAINED = "trained"  # the meter of trainings, which no style has and no plan includes

Kind = InvoiceLine.Kind


class Used(NamedTuple):
    """Tokens of one workspace, style and meter at one price."""

    tenant_id: UUID
    style_name: str
    meter: str
    unit_nanousd: int
    tokens: int


@dataclass
class Row:
    """One style and meter: what it did cost, and what it would have."""

    style_name: str
    meter: str
    tokens: int = 0
    before_nanousd: int = 0
    after_nanousd: int = 0


@dataclass(frozen=True)
class Comparison:
    """A month under its own prices and under other ones. `payable` is less what plans include.

    `missing_tokens` are in the ledger and on no invoice yet, trained ones, too.
    """

    period: str
    rows: list[Row]
    before_nanousd: int
    after_nanousd: int
    payable_before_nanousd: int
    payable_after_nanousd: int
    missing_tokens: int


def compare_prices(
    period: str,
    prices: tuple[int, int, int],
    *,
    style_name: str = "",
    trained_token_nanousd: int | None = None,
) -> Comparison:
    """Return a month under other prices: input, cached input and output in nano-USD a token.

    They are those of one style, or of the base model by its name; without a name, of every style that had no
    price of its own at the month's end. Trained tokens have another price where one is given. Everything else
    keeps the prices that it had.
    """
    used = _read_usage(period)
    own = _names_with_own_prices(period)
    new_units = dict(zip(METERS, prices, strict=True))
    rows: dict[tuple[str, str], Row] = {}
    before_of: dict[UUID, int] = defaultdict(int)
    after_of: dict[UUID, int] = defaultdict(int)
    tokens_of: dict[UUID, int] = defaultdict(int)
    for one in used:
        is_repriced = one.style_name == style_name if style_name else one.style_name not in own
        unit = new_units[one.meter] if is_repriced else one.unit_nanousd
        before = one.tokens * one.unit_nanousd
        after = one.tokens * unit
        row = rows.setdefault((one.style_name, one.meter), Row(one.style_name, one.meter))
        row.tokens += one.tokens
        row.before_nanousd += before
        row.after_nanousd += after
        before_of[one.tenant_id] += before
        after_of[one.tenant_id] += after
        tokens_of[one.tenant_id] += one.tokens
    # Plans cover a share of the cost (decision 25), so what they take off changes with the prices.
    covered = _read_covered(period)
    trained = _compare_trainings(period, trained_token_nanousd)
    shown = [*rows.values(), trained] if trained.tokens else list(rows.values())
    invoiced = sum(tokens_of.values()) + trained.tokens
    return Comparison(
        period=period,
        rows=sorted(shown, key=lambda row: -row.before_nanousd),
        before_nanousd=sum(before_of.values()) + trained.before_nanousd,
        after_nanousd=sum(after_of.values()) + trained.after_nanousd,
        payable_before_nanousd=_sum_payable(before_of, tokens_of, covered) + trained.before_nanousd,
        payable_after_nanousd=_sum_payable(after_of, tokens_of, covered) + trained.after_nanousd,
        missing_tokens=_read_tokens(period) - invoiced,
    )


def _compare_trainings(period: str, token_nanousd: int | None) -> Row:
    """Return a month's trained tokens on invoices under another price, or their own without one."""
    lines = InvoiceLine.objects.filter(kind=Kind.TRAINING, period=period)
    sums = lines.aggregate(tokens=Sum("quantity", default=0), nanousd=Sum("amount_nanousd", default=0))
    tokens, before = int(sums["tokens"]), int(sums["nanousd"])
    return Row("", TRAINED, tokens, before, before if token_nanousd is None else tokens * token_nanousd)


def _sum_payable(costs: dict[UUID, int], tokens: dict[UUID, int], covered: dict[UUID, int]) -> int:
    """Return what is left once each workspace's plan took off what it includes."""
    return sum(payable_nanousd(cost, tokens[pk], covered.get(pk, 0)) for pk, cost in costs.items())


def _read_usage(period: str) -> list[Used]:
    lines = InvoiceLine.objects.filter(kind=Kind.USAGE, period=period).order_by()
    facts = ("invoice__tenant", "style_name", "meter", "unit_nanousd")
    return [Used(*row) for row in lines.values_list(*facts).annotate(tokens=Sum("quantity"))]


def _read_covered(period: str) -> dict[UUID, int]:
    """Return workspace → tokens of a month that its plan covered; a later invoice's line has all of them."""
    lines = InvoiceLine.objects.filter(kind=Kind.INCLUDED, period=period).order_by()
    return dict(lines.values_list("invoice__tenant").annotate(covered=Max("quantity")))


def _read_tokens(period: str) -> int:
    """Return the tokens of a month by the days' rollups and its trainings, of those who get invoices."""
    start, end = months.bounds(period)
    days = UsageDaily.objects.filter(day__gte=start.date(), day__lt=end.date(), tenant__is_first_party=False)
    used = days.aggregate(total=Sum(F("prompt_tokens") + F("completion_tokens"), default=0))["total"]
    # What costs nothing has no line.
    charged = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.TRAINING, period=period, amount_nanousd__gt=0)
    billed = charged.filter(tenant__is_first_party=False)
    return int(used + billed.aggregate(total=Sum("tokens", default=0))["total"])


def _names_with_own_prices(period: str) -> Collection[str]:
    _, end = months.bounds(period)
    edition = price_book.whole_editions().filter(effective_from__lt=end).order_by("-effective_from").first()
    names = set()
    for price in Price.objects.filter(book=edition):
        if price.is_base:
            names.add(BASE_MODEL_NAME)
        elif price.style:
            names.add(price.style_name)
    return names
