"""Which prices count at a moment, and which are announced.

An edition (`PriceBook`) has a price of every style, and those of styles and of the base model that have
their own. It takes effect at its moment, for requests that are admitted from then on.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from core.money import usd
from metering.forms import MILLION
from metering.models import Price, PriceBook


@dataclass(frozen=True)
class Entry:
    """What holds from a moment on, until the next entry; `price` None: the price of every style."""

    effective_from: datetime
    price: Price | None


type Schedule = list[Entry]


def find_price(at: datetime) -> Price:
    """Return the price of every style at a moment. Raises Price.DoesNotExist before the first edition."""
    prices = Price.objects.general().filter(book__effective_from__lte=at).select_related("book")
    return prices.latest("book__effective_from")


def find_prices(at: datetime) -> tuple[Price, Price | None]:
    """Return the price of every style at a moment, and the base model's own, if it has one; one query.

    Raises Price.DoesNotExist before the first edition.
    """
    # A subquery, so that both prices come in one query: admission's snapshot is made of it.
    in_force = whole_editions().filter(effective_from__lte=at).order_by("-effective_from")[:1]
    prices = Price.objects.filter(style=None, book__in=in_force.values("pk")).select_related("book")
    by_scope = {price.is_base: price for price in prices}
    if False not in by_scope:
        raise Price.DoesNotExist
    return by_scope[False], by_scope.get(True)


def announced_prices(at: datetime) -> list[Price]:
    """Return the prices of every style in force at a moment, and those that follow, in their order."""
    later = Price.objects.general().filter(book__effective_from__gt=at).select_related("book")
    return [find_price(at), *later.order_by("book__effective_from")]


def schedules_of(style_ids: Collection[UUID], at: datetime) -> dict[UUID, Schedule]:
    """Return style → what holds at a moment and what is announced, of those that have a price of their own.

    Two queries for any number of styles.
    """
    editions = editions_from(at)
    return _make_schedules(editions, Price.objects.filter(style__in=style_ids, book__in=editions))


def announced_entry(at: datetime, amounts: tuple[int, int, int], author_percent: int) -> Entry:
    """Return an entry of a schedule for a price that is agreed and in no edition yet."""
    read, cached, written = amounts
    price = Price(
        input_nanousd=read,
        cached_input_nanousd=cached,
        output_nanousd=written,
        author_percent=author_percent,
    )
    return Entry(at, price)


def prices_now(schedule: Schedule) -> tuple[int, int, int] | None:
    """Return the amounts in force by a schedule; None where they are those of every style."""
    price = schedule[0].price if schedule else None
    return amounts(price) if price else None


def all_schedules(at: datetime) -> dict[UUID, Schedule]:
    """Return the same of every style that has a price of its own, now or later."""
    editions = editions_from(at)
    return _make_schedules(editions, Price.objects.filter(style__isnull=False, book__in=editions))


def base_schedule(at: datetime) -> Schedule:
    """Return the same of the base model; empty if it has no price of its own."""
    editions = editions_from(at)
    by_book = {price.book_id: price for price in Price.objects.filter(is_base=True, book__in=editions)}
    return _make_schedule(editions, by_book) if by_book else []


def next_change(after: datetime) -> datetime | None:
    """Return when the price of every style, or of the base model, is next another one; None: not known."""
    editions = editions_from(after)
    general: dict[int, tuple[int, ...]] = {}
    base: dict[int, tuple[int, ...]] = {}
    for price in Price.objects.filter(style=None, book__in=editions):
        of = base if price.is_base else general
        of[price.book_id] = amounts(price)
    before = None
    for edition in editions:
        now = (general[edition.pk], base.get(edition.pk))
        # An edition may change only styles' prices, which lie in their versions' rows (decision 27).
        if edition.effective_from > after and now != before:
            return edition.effective_from
        before = now
    return None


def amounts(price: Price) -> tuple[int, int, int]:
    """Return input, cached input and output in nano-USD a token."""
    return (price.input_nanousd, price.cached_input_nanousd, price.output_nanousd)


def dollars_a_million(price: Price) -> dict[str, str]:
    """Return input, cached input and output as people read them: dollars a million tokens."""
    return {
        "input": usd(MILLION * price.input_nanousd),
        "cached_input": usd(MILLION * price.cached_input_nanousd),
        "output": usd(MILLION * price.output_nanousd),
    }


def edition_at(at: datetime) -> PriceBook | None:
    """Return the edition in force at a moment; None before the first one."""
    return whole_editions().filter(effective_from__lte=at).order_by("-effective_from").first()


def whole_editions() -> QuerySet[PriceBook]:
    """Return the editions that have a price of every style: others count for nothing."""
    general = Price.objects.general().filter(book=OuterRef("pk"))
    return PriceBook.objects.filter(Exists(general))


def editions_from(at: datetime) -> list[PriceBook]:
    """Return the edition in force at a moment and those that follow, in their order."""
    in_force = whole_editions().filter(effective_from__lte=at).order_by("-effective_from")[:1]
    return list(
        whole_editions()
        .filter(Q(pk__in=in_force.values("pk")) | Q(effective_from__gt=at))
        .order_by("effective_from")
    )


def _make_schedules(editions: list[PriceBook], own: Iterable[Price]) -> dict[UUID, Schedule]:
    by_style: dict[UUID, dict[int, Price]] = {}
    for price in own:
        if price.style:
            by_style.setdefault(price.style, {})[price.book_id] = price
    return {style_id: _make_schedule(editions, by_book) for style_id, by_book in by_style.items()}


def _make_schedule(editions: list[PriceBook], by_book: Mapping[int, Price]) -> Schedule:
    return [Entry(edition.effective_from, by_book.get(edition.pk)) for edition in editions]
