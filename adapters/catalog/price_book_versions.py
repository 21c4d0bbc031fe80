"""Make an edition of prices whole, and publish what it changes to the data plane."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from adapters.catalog.terms import AMOUNTS, Terms, asked_terms
from adapters.models import Style
from adapters.routing import publisher
from core import locks
from metering import price_book
from metering.models import Price, PriceBook
from metering.quota_sync.generations import bump_all_generations

ACTION = "price editions"
A_MINUTE = timedelta(minutes=1)
NOTICE = timedelta(minutes=2)  # in which every copy of the prices learns of the new ones

type Scope = tuple[UUID | None, bool]  # style, is_base
type Prices = Mapping[Scope, Price]


def complete_edition(book: PriceBook, *, ended: Collection[UUID] = ()) -> None:
    """Take over from the edition before what a new one does not name, except for the `ended` styles' prices.

    Only what is another price than before is published: the rows of those styles, or all workspaces' limits.
    """
    earlier = price_book.whole_editions().filter(effective_from__lt=book.effective_from)
    previous = earlier.order_by("-effective_from").first()
    before = _prices_of(previous) if previous else {}
    with transaction.atomic():
        lock_editions()
        named = _prices_of(book)
        copies = []
        for scope, price in before.items():
            if scope not in named and scope[0] not in ended:
                copies.append(_copy_price(price, book))
        Price.objects.bulk_create(copies)
        _publish_changes(before, _prices_of(book))


def lock_editions() -> None:
    """Let one transaction at a time make an edition. Take it before any style's row."""
    locks.one_at_a_time(ACTION)


def price_style(style: Style, terms: Terms, *, at: datetime | None = None) -> datetime:
    """Make an edition in which a style has prices and a share of its own; return from when it holds.

    That is in two minutes, or at a later moment that is given, or after the last announced edition: an
    edition takes over all of the one before. Where the last edition has just this price, none is made. Raises
    Price.DoesNotExist without any edition.
    """
    with transaction.atomic():
        lock_editions()
        last = price_book.whole_editions().latest("effective_from")
        given = {
            "style": style.pk,
            "style_name": style.model_name,
            "author": style.owner,
            "author_percent": terms.author_percent,
            **dict(zip(AMOUNTS, terms.charged, strict=True)),
        }
        if last.prices.filter(**given).exists():
            return last.effective_from
        soonest = timezone.now().replace(second=0, microsecond=0) + NOTICE
        book = PriceBook.objects.create(
            # Behind every announced edition: one in between would miss what the later one took over.
            effective_from=max(at or soonest, soonest, last.effective_from + A_MINUTE),
            style_month_nanousd=last.style_month_nanousd,
            trained_token_nanousd=last.trained_token_nanousd,
        )
        Price.objects.create(book=book, **given)
        complete_edition(book)
    return book.effective_from


def agree_terms(style: Style) -> datetime | None:
    """Have what the owner of a style asked for begin with a new edition of prices; return when.

    None if nothing was asked for. Call it in the transaction that approves the offer.
    """
    terms = asked_terms(style)
    return price_style(style, terms) if terms != Terms() else None


def _prices_of(book: PriceBook) -> dict[Scope, Price]:
    return {(price.style, price.is_base): price for price in book.prices.all()}


def _copy_price(price: Price, book: PriceBook) -> Price:
    return Price(
        book=book,
        style=price.style,
        style_name=price.style_name,
        is_base=price.is_base,
        input_nanousd=price.input_nanousd,
        cached_input_nanousd=price.cached_input_nanousd,
        output_nanousd=price.output_nanousd,
        author_id=price.author_id,
        author_percent=price.author_percent,
    )


def _publish_changes(before: Prices, after: Prices) -> None:
    repriced: set[UUID] = set()
    is_general_new = False
    for scope in before.keys() | after.keys():
        old = before.get(scope)
        new = after.get(scope)
        if old and new and price_book.amounts(old) == price_book.amounts(new):
            continue
        style_id, _ = scope
        if style_id:
            repriced.add(style_id)
        else:
            is_general_new = True
    if repriced:
        publisher.mark_repriced(repriced)
    if is_general_new:
        bump_all_generations()
