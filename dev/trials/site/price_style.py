"""Give a shipped style a price of its own and an author's share from now on."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from adapters.catalog.price_book_versions import complete_edition, lock_editions
from adapters.models import Style
from metering.models import Price, PriceBook
from metering.price_book import whole_editions

A_SECOND = timedelta(seconds=1)


def price_style(*, model: str, amounts: list[int], author: str, percent: int) -> dict[str, str]:
    """Make an edition in which a style costs so much: input, cached input and output, in nano-USD a token.

    `author` is the workspace that gets `percent` of what others pay. Returns the style's id, and from when
    the edition holds.
    """
    style = Style.objects.get(slug=model, owner__is_first_party=True)
    names = ("input_nanousd", "cached_input_nanousd", "output_nanousd")
    prices = dict(zip(names, amounts, strict=True))
    with transaction.atomic():
        lock_editions()
        last = whole_editions().latest("effective_from")
        # At once: until every copy knows of it the style costs what it did, and is billed so.
        begins = max(timezone.now(), last.effective_from + A_SECOND)
        book = PriceBook.objects.create(
            effective_from=begins,
            style_month_nanousd=last.style_month_nanousd,
            trained_token_nanousd=last.trained_token_nanousd,
        )
        Price.objects.create(
            book=book,
            style=style.pk,
            style_name=style.model_name,
            author_id=author,
            author_percent=percent,
            **prices,
        )
        complete_edition(book)
    return {"style": str(style.pk), "begins": begins.isoformat()}
