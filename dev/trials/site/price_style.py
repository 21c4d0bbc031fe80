"""Give a shipped style a price of its own and an author's share from now on."""

from django.db import transaction
from django.utils import timezone

from adapters.models import Style
from adapters.routing import publisher
from metering.models import StylePrice


def price_style(*, model: str, amounts: list[int], author: str, percent: int) -> dict[str, str]:
    """Let a style cost so much: input, cached input and output, in nano-USD a token.

    `author` is the workspace that gets `percent` of what others pay. Returns the style's id, and from when
    the price counts.
    """
    style = Style.objects.get(slug=model, owner__is_first_party=True)
    names = ("input_nanousd", "cached_input_nanousd", "output_nanousd")
    with transaction.atomic():
        # At once: until every copy knows of it the style costs what it did, and is billed so.
        price = StylePrice.objects.create(
            style=style.pk,
            style_name=style.model_name,
            effective_from=timezone.now(),
            author_id=author,
            author_percent=percent,
            **dict(zip(names, amounts, strict=True)),
        )
        publisher.mark_repriced([style.pk])
    return {"style": str(style.pk), "begins": price.effective_from.isoformat()}
