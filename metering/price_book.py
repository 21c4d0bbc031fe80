"""What tokens, trainings and hosting cost: which prices count at a moment, and which are announced.

A price book has the price of every style and, if it has one of its own, the base model's. A style's own
prices are rows of `StylePrice`, each from its moment on. Both count for requests that are admitted from then.
What something costs at a price is integer arithmetic in nano-USD: nothing is ever rounded here.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from core import locks, months
from core.money import usd
from metering.forms import MILLION
from metering.models import HostedStyle, Price, PriceBook, StylePrice, TokenPrices


@dataclass(frozen=True)
class Entry:
    """What holds from a moment on, until the next entry; `amounts` None: the price of every style."""

    effective_from: datetime
    amounts: TokenPrices | None
    author_percent: int = 0


type Schedule = list[Entry]


def find_price(at: datetime) -> Price:
    """Return the price of every style at a moment. Raises Price.DoesNotExist before the first book."""
    prices = Price.objects.general().filter(book__effective_from__lte=at).select_related("book")
    return prices.latest("book__effective_from")


def find_prices(at: datetime) -> tuple[Price, Price | None]:
    """Return the price of every style at a moment, and the base model's own, if it has one; one query.

    Raises Price.DoesNotExist before the first book.
    """
    # A subquery, so that both prices come in one query: admission's snapshot is made of it.
    in_force = complete_books().filter(effective_from__lte=at).order_by("-effective_from")[:1]
    prices = Price.objects.filter(book__in=in_force.values("pk")).select_related("book")
    by_scope = {price.is_base: price for price in prices}
    if False not in by_scope:
        raise Price.DoesNotExist
    return by_scope[False], by_scope.get(True)


def announced_prices(at: datetime) -> Schedule:
    """Return the prices of every style in force at a moment, and those that follow, in their order."""
    later = Price.objects.general().filter(book__effective_from__gt=at).select_related("book")
    prices = [find_price(at), *later.order_by("book__effective_from")]
    return [Entry(price.book.effective_from, price.amounts) for price in prices]


def base_schedule(at: datetime) -> Schedule:
    """Return the same of the base model; empty if it has no price of its own."""
    books = books_from(at)
    own = {price.book_id: price.amounts for price in Price.objects.filter(is_base=True, book__in=books)}
    return [Entry(book.effective_from, own.get(book.pk)) for book in books] if own else []


def style_price_at(style_id: UUID, at: datetime) -> StylePrice | None:
    """Return a style's row that counts at a moment; None: it has never had a price of its own."""
    begun = StylePrice.objects.filter(style=style_id, effective_from__lte=at)
    return begun.order_by("effective_from").last()


def schedules_of(style_ids: Collection[UUID] | None, at: datetime) -> dict[UUID, Schedule]:
    """Return style → what holds at a moment and what is announced, of those with their own prices or shares.

    None: of all styles. One query for any number of styles, two if one of them is yet to get its first price.
    """
    rows = StylePrice.objects.all() if style_ids is None else StylePrice.objects.filter(style__in=style_ids)
    begun = rows.filter(effective_from__lte=at)
    in_force = begun.order_by("style", "-effective_from").distinct("style").values("pk")
    schedules: dict[UUID, Schedule] = {}
    for row in rows.filter(Q(pk__in=in_force) | Q(effective_from__gt=at)).order_by("effective_from"):
        entry = Entry(row.effective_from, row.amounts, row.author_percent)
        schedules.setdefault(row.style, []).append(entry)
    own = {style_id: schedule for style_id, schedule in schedules.items() if _differs(schedule)}
    announced = [schedule for schedule in own.values() if schedule[0].effective_from > at]
    if announced:
        until_then = Entry(find_price(at).book.effective_from, None)
        for schedule in announced:
            schedule.insert(0, until_then)
    return own


def _differs(schedule: Schedule) -> bool:
    """Return whether a style has, or gets, another price than every style, or a share for its author."""
    return any(entry.amounts or entry.author_percent for entry in schedule)


def prices_now(schedule: Schedule) -> TokenPrices | None:
    """Return the amounts in force by a schedule; None where they are those of every style."""
    return schedule[0].amounts if schedule else None


def next_change(after: datetime) -> datetime | None:
    """Return when the price of every style, or of the base model, is next another one; None: not known."""
    books = books_from(after)
    amounts: dict[tuple[int, bool], TokenPrices] = {}
    for price in Price.objects.filter(book__in=books):
        amounts[price.book_id, price.is_base] = price.amounts
    before = None
    for book in books:
        now = (amounts[book.pk, False], amounts.get((book.pk, True)))
        # A book may change only what hosting or training costs.
        if book.effective_from > after and now != before:
            return book.effective_from
        before = now
    return None


def dollars_a_million(amounts: TokenPrices) -> dict[str, str]:
    """Return input, cached input and output as people read them: dollars a million tokens."""
    read, cached, written = (usd(MILLION * amount) for amount in amounts)
    return {"input": read, "cached_input": cached, "output": written}


def book_at(at: datetime) -> PriceBook | None:
    """Return the book in force at a moment; None before the first one."""
    return complete_books().filter(effective_from__lte=at).order_by("-effective_from").first()


def complete_books() -> QuerySet[PriceBook]:
    """Return the books that have a price of every style: others count for nothing."""
    general = Price.objects.general().filter(book=OuterRef("pk"))
    return PriceBook.objects.filter(Exists(general))


def books_from(at: datetime) -> list[PriceBook]:
    """Return the book in force at a moment and those that follow, in their order."""
    in_force = complete_books().filter(effective_from__lte=at).order_by("-effective_from")[:1]
    return list(
        complete_books()
        .filter(Q(pk__in=in_force.values("pk")) | Q(effective_from__gt=at))
        .order_by("effective_from")
    )


def complete_book(book: PriceBook) -> None:
    """Take over from the book before what a new one does not name."""
    locks.one_at_a_time("price books")  # two at once would both take over from the one before
    named = set(book.prices.values_list("is_base", flat=True))
    before = complete_books().filter(effective_from__lt=book.effective_from)
    previous = before.order_by("-effective_from").first()
    for price in previous.prices.all() if previous else ():
        if price.is_base not in named:
            book.prices.create(is_base=price.is_base, **price.amounts._asdict())


def payable_nanousd(cost: int, tokens: int, included: int) -> int:
    """Return what a month's usage costs beyond the included tokens, which take off their share of it.

    It never falls when cost or tokens grow. The admission script has the same formula, rounded up.
    """
    if tokens <= included:
        return 0
    return cost - cost * included // tokens


def cost_nanousd(prices: TokenPrices, prompt: int, cached: int, completion: int) -> int:
    """Return the exact cost of one request. `cached` counts those of the prompt's tokens that were cached.

    Raises ValueError when a count is negative or more was cached than the prompt holds.
    """
    if not 0 <= cached <= prompt or completion < 0:
        raise ValueError(f"impossible token counts: {prompt=} {cached=} {completion=}")
    return (
        (prompt - cached) * prices.input_nanousd
        + cached * prices.cached_input_nanousd
        + completion * prices.output_nanousd
    )


@dataclass(frozen=True)
class Hosted:
    """A private style that an engine has loaded."""

    tenant_id: UUID
    style: UUID
    style_name: str


def record_hosted(styles: Iterable[Hosted], period: str) -> None:
    """Write down that styles are hosted in a month, each once. Safe to repeat, and from many at once."""
    rows = []
    for hosted in sorted(styles, key=lambda one: one.style):  # in one order: two writers never wait crosswise
        row = HostedStyle(
            tenant_id=hosted.tenant_id,
            style=hosted.style,
            style_name=hosted.style_name[:100],
            period=period,
        )
        rows.append(row)
    HostedStyle.objects.bulk_create(rows, ignore_conflicts=True)


def count_hosted(tenant_id: UUID, period: str) -> int:
    """Return how many private styles of a workspace were hosted at some moment of a month."""
    return HostedStyle.objects.filter(tenant=tenant_id, period=period).count()


def style_month_nanousd(period: str) -> int:
    """Return what hosting one style costs in a month: the price in force when the month begins."""
    # Not the price at the month's end: it is known before a style is hosted.
    start, _ = months.bounds(period)
    book = book_at(start)
    return book.style_month_nanousd if book else 0
