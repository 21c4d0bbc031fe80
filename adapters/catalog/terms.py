"""What an owner asks for with an offer to the catalogue: prices of the style's own, and an author's share.

Operators approve them with the offer, or decline. Approved ones become the style's next price.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters.errors import SharePercent, TermsOutOfBounds
from adapters.models import Style
from adapters.models.styles import is_public_now
from core.money import usd
from metering.forms import MILLION
from metering.models import TokenPrices
from metering.price_book import dollars_a_million, find_price, schedules_of


def find_style(model_name: str) -> Style | None:
    """Return the style that people name so in `model=`, of any owner; None for an unknown name."""
    owner, _, slug = model_name.rpartition("/")
    styles = Style.objects.filter(slug=slug, retired_at=None).select_related("owner")
    return styles.filter(Q(owner__slug=owner) if owner else Q(owner__is_first_party=True)).first()


def name_public_styles(style_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return id → model name of those of some styles that are in the catalogue."""
    public = Style.objects.filter(is_public_now(), retired_at=None, pk__in=style_ids).select_related("owner")
    return {style.pk: style.model_name for style in public}


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


MAX_PRICE_NANOUSD = 100_000  # a token: $100 a million
MAX_PERCENT = 50
PRICE_LABELS = {
    "input_nanousd": _("input"),
    "cached_input_nanousd": _("cached input"),
    "output_nanousd": _("output"),
}


@dataclass(frozen=True)
class Terms:
    """Prices of the style's own (None: those of every style), and the author's share in percent."""

    amounts: TokenPrices | None = None
    author_percent: int = 0

    @property
    def charged(self) -> TokenPrices:
        """What a token costs by these terms now."""
        return self.amounts or find_price(timezone.now()).amounts

    @property
    def columns(self) -> dict[str, int | None]:
        """The terms as a row of prices has them."""
        amounts = self.amounts._asdict() if self.amounts else dict.fromkeys(TokenPrices._fields)
        return {**amounts, "author_percent": self.author_percent}

    @property
    def asked_columns(self) -> dict[str, int | None]:
        """The terms as the style's row has them."""
        return {f"asked_{name}": value for name, value in self.columns.items()}


def asked_terms(style: Style) -> Terms:
    """Return what the owner of a style asks for, or asked for."""
    asked = (style.asked_input_nanousd, style.asked_cached_input_nanousd, style.asked_output_nanousd)
    return Terms(TokenPrices.of(*asked), style.asked_author_percent)


def require_bounds(terms: Terms) -> None:
    """Raise TermsOutOfBounds or SharePercent unless operators could agree.

    A price is that of every style at least: for less, its requests could cost more than they bring.
    """
    least = find_price(timezone.now())
    if terms.amounts:
        for name, word in PRICE_LABELS.items():
            amount, lower = getattr(terms.amounts, name), getattr(least, name)
            if not lower <= amount <= MAX_PRICE_NANOUSD:
                raise TermsOutOfBounds(
                    field=name,
                    name=word,
                    least=usd(MILLION * lower),
                    most=usd(MILLION * MAX_PRICE_NANOUSD),
                )
    if not 0 <= terms.author_percent <= MAX_PERCENT:
        raise SharePercent(field="author_percent", most=MAX_PERCENT)


def describe_terms(terms: Terms) -> list[str]:
    """Return what is asked for, and what the author gets of it, a sentence each; none if nothing is."""
    sentences = []
    amounts = terms.charged
    read, cached, written = [usd(MILLION * amount) for amount in amounts]
    if terms.amounts:
        sentences.append(
            gettext(
                "{read} per million input tokens, {cached} per million cached input tokens, {written} "
                "per million output tokens."
            ).format(read=read, cached=cached, written=written)
        )
    if terms.author_percent:
        shares = [usd(MILLION * amount * terms.author_percent // 100) for amount in amounts]
        sentences.append(
            gettext(
                "The author earns {percent}% of what others pay: {read} per million input tokens and "
                "{written} per million output tokens, paid in credits once the month's invoices are "
                "final."
            ).format(percent=terms.author_percent, read=shares[0], written=shares[2])
        )
    return sentences


def summarize_terms(terms: Terms) -> str:
    """Return what is asked for in a few words, for a list: `$0.50 / $0.10 / $1.00 a million, 20 %`."""
    parts = []
    if terms.amounts:
        prices = " / ".join(usd(MILLION * amount) for amount in terms.amounts)
        parts.append(gettext("{prices} per million tokens").format(prices=prices))
    if terms.author_percent:
        parts.append(gettext("{author_percent}% to the author").format(author_percent=terms.author_percent))
    return ", ".join(parts)
