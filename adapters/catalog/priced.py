"""What billing asks about styles: their names, whose they are, and their prices."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from adapters.models import Style
from adapters.models.styles import is_public_now
from metering.price_book import dollars_a_million, schedules_of


@dataclass(frozen=True)
class StyleFacts:
    """One style, as everybody may know it if it is public."""

    id: UUID
    name: str
    model_name: str
    owner_id: UUID
    is_public: bool
    is_first_party: bool


def find_style(model_name: str) -> StyleFacts | None:
    """Return the style that people name so in `model=`, of any owner; None for an unknown name."""
    owner, _, slug = model_name.rpartition("/")
    styles = Style.objects.filter(slug=slug, retired_at=None)
    styles = styles.filter(owner__slug=owner) if owner else styles.filter(owner__is_first_party=True)
    style_id = styles.values_list("pk", flat=True).first()
    return describe_styles([style_id])[style_id] if style_id else None


def describe_styles(style_ids: Collection[UUID]) -> dict[UUID, StyleFacts]:
    """Return id → facts of those styles that exist; those of public ones are what operators approved."""
    public = set(Style.objects.filter(is_public_now(), retired_at=None, pk__in=style_ids).values_list("pk"))
    facts = {}
    for style in Style.objects.filter(pk__in=style_ids).select_related("owner", "approved_version"):
        shown = style.show_to(None)
        is_public = (style.pk,) in public
        one = StyleFacts(
            id=style.pk,
            name=shown.name,
            model_name=style.model_name,
            owner_id=style.owner_id,
            is_public=is_public,
            is_first_party=style.owner.is_first_party,
        )
        facts[style.pk] = one
    return facts


def prices_of(style: Style) -> list[dict[str, Any]]:
    """Return a style's own prices, now and announced, as people read them; empty if it has none of its own.

    Each has `from` (None: now), `author_percent`, and `input`, `cached_input` and `output` in dollars a
    million tokens; without these it is the price of every style.
    """
    now = timezone.now()
    rows: list[dict[str, Any]] = []
    for entry in schedules_of([style.pk], now).get(style.pk, []):
        begins = entry.effective_from if entry.effective_from > now else None
        row: dict[str, Any] = {"from": begins, "author_percent": entry.author_percent}
        if entry.amounts:
            row |= dollars_a_million(entry.amounts)
        rows.append(row)
    return rows
