"""Price books: an operator makes the next edition, whole and with a date, and nobody edits one."""

# mypy: disallow-subclassing-any=False

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminTextInputWidget

from adapters.public import StyleFacts, describe_styles, find_style, price_book_versions
from billing.admin.base import dollars_column
from core.console import OperatorAdmin, OperatorForm
from metering import price_book
from metering.console import AmountsInDollars
from metering.forms import MILLION
from metering.models import Price, PriceBook
from tenants.console import Immutable, ReadOnly

BASE_MODEL_NAME = "base"  # in usage
EVERY_STYLE = "all styles"
COPIED_STYLES = 100  # lines of five fields: Django takes 1,000 fields
PRICE_COLUMNS = ("input_nanousd", "cached_input_nanousd", "output_nanousd", "author_percent")
NOTICE = timedelta(minutes=1)  # in which every copy of the prices learns of the new ones
UNKNOWN = "No such style: {name}. Use its model name, such as poetry or acme/brand-voice."


class EditionForm(OperatorForm):
    """A new edition: from when, and which styles no longer have a price of their own."""

    ended = forms.CharField(
        label="Styles to return to the standard price",
        required=False,
        help_text="Model names, separated by spaces.",
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )

    def clean_effective_from(self) -> datetime:
        """Return a whole minute after every other edition. What begins at once could reach some later."""
        begins: datetime = self.cleaned_data["effective_from"]
        begins = begins.replace(second=0, microsecond=0)
        if begins < timezone.now() + NOTICE:
            raise forms.ValidationError("New prices can start in one minute at the earliest.")
        latest = price_book.whole_editions().aggregate(at=Max("effective_from"))["at"]
        if latest and begins <= latest:
            raise forms.ValidationError(
                f"A price book already starts on {latest:%Y-%m-%d %H:%M} UTC. Choose a later time."
            )
        return begins

    def clean_ended(self) -> set[UUID]:
        """Return the styles that are named."""
        return {_find_style(name).id for name in self.cleaned_data["ended"].split()}


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]
    """One price of a new edition, in dollars a million tokens."""

    style_name = forms.CharField(
        label="Model",
        required=False,
        help_text="A model name, or base. Leave empty for the standard price.",
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off", "placeholder": EVERY_STYLE}),
    )

    author_percent = forms.IntegerField(
        label="Author's share, %",
        required=False,
        min_value=0,
        max_value=100,
        help_text="The percentage of what other workspaces pay, for a public style.",
        widget=UnfoldAdminTextInputWidget({"inputmode": "numeric"}),
    )

    def clean_author_percent(self) -> int:
        """Return the share, 0 if it is left empty; it needs the style, which is cleaned before."""
        percent: int = self.cleaned_data["author_percent"] or 0
        if not percent:
            return 0
        facts = describe_styles([self.instance.style]) if self.instance.style else {}
        author = facts.get(self.instance.style)
        if author is None or not author.is_public or author.is_first_party:
            raise forms.ValidationError("Only a workspace's public style can have a share.")
        self.instance.author_id = author.owner_id
        return percent

    def clean_style_name(self) -> str:
        """Set what the price is of, and return the style's name."""
        name = str(self.cleaned_data["style_name"]).strip()
        self.instance.is_base = name == BASE_MODEL_NAME
        if not name or name == BASE_MODEL_NAME:
            return ""
        facts = _find_style(name)
        self.instance.style = facts.id
        return facts.model_name


class PriceFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The prices of a new edition."""

    def clean(self) -> None:
        """Refuse two prices of the same, and a first edition without a price of every style."""
        super().clean()
        seen: set[str] = set()
        for form in self.forms:
            if not form.has_changed():
                continue
            of = form.instance.of
            if of in seen:
                raise forms.ValidationError(f"{of} has two prices. Enter one.")
            seen.add(of)
        if EVERY_STYLE not in seen and not price_book.whole_editions().exists():
            raise forms.ValidationError("The first price book needs a standard price.")


class PriceInline(AmountsInDollars, TabularInline):
    model = Price
    form = PriceForm
    formset = PriceFormSet
    fields = ["style_name", "input_nanousd", "cached_input_nanousd", "output_nanousd", "author_percent"]

    def get_extra(self, request: HttpRequest, obj: Any = None, **options: Any) -> int:
        """Return one line more than the copy of the latest edition has."""
        return len(_copy_latest()) + 1


class PriceColumns:
    """Prices to read, in dollars a million tokens."""

    input_price = dollars_column("input_nanousd", "input", times=MILLION)

    cached_input_price = dollars_column("cached_input_nanousd", "cached input", times=MILLION)

    output_price = dollars_column("output_nanousd", "output", times=MILLION)


class ShownPriceInline(PriceColumns, ReadOnly, TabularInline):
    model = Price
    fields = ["of", "input_price", "cached_input_price", "output_price", "author_percent"]
    readonly_fields = fields
    extra = 0


@admin.register(PriceBook)
class PriceBookAdmin(Immutable, AmountsInDollars, OperatorAdmin):
    form = EditionForm
    list_display = ["effective_from", "hosting", "training", "styles_with_prices"]
    search_fields = ["effective_from"]
    hosting = dollars_column("style_month_nanousd", "monthly hosting per style")
    training = dollars_column("trained_token_nanousd", "per million trained tokens", times=MILLION)

    def get_inlines(self, request: HttpRequest, obj: PriceBook | None) -> list[Any]:
        """Return a table to write prices in, or to read those of an edition."""
        return [ShownPriceInline] if obj else [PriceInline]

    def get_fields(self, request: HttpRequest, obj: PriceBook | None = None) -> list[str]:
        """Ask for what ends when an edition is made."""
        shown = ["effective_from", "style_month_nanousd", "trained_token_nanousd"]
        return shown if obj else [*shown, "ended"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Suggest the first of the next month, and to leave hosting and training at their prices."""
        now = timezone.now()
        latest = price_book.whole_editions().order_by("-effective_from").first()
        next_month = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
        return {
            "style_month_nanousd": latest.style_month_nanousd if latest else 0,
            "trained_token_nanousd": latest.trained_token_nanousd if latest else 0,
            "effective_from": next_month.replace(hour=0, minute=0, second=0, microsecond=0),
        }

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        """Begin as a copy of the latest edition. A line that stays as it is counts as not written."""
        options: dict[str, Any] = super().get_formset_kwargs(request, obj, inline, prefix)
        return options | {"initial": _copy_latest()} if isinstance(inline, PriceInline) else options

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the prices, and take over the others from the edition before."""
        super().save_related(request, form, formsets, change)
        price_book_versions.complete_edition(form.instance, ended=form.cleaned_data["ended"])

    def get_queryset(self, request: HttpRequest) -> QuerySet[PriceBook]:
        """Return the editions with how many styles have a price of their own in each."""
        books: QuerySet[PriceBook] = super().get_queryset(request)
        return books.annotate(priced_styles=Count("prices__style"))  # without those of no style

    @admin.display(description="styles with their own price")
    def styles_with_prices(self, book: Any) -> int:
        return int(book.priced_styles)


def _copy_latest() -> list[dict[str, Any]]:
    """Return the latest edition's prices as lines of a new one: the standard price, the base model, styles.

    Styles beyond the first hundred, and those that are gone, are left out: what a new edition does not name
    is taken over from the one before.
    """
    latest = price_book.whole_editions().order_by("-effective_from").first()
    if latest is None:
        return []
    prices = list(latest.prices.filter(style=None).order_by("is_base"))
    of_styles = list(latest.prices.exclude(style=None).order_by("style_name")[:COPIED_STYLES])
    facts = describe_styles([price.style for price in of_styles if price.style])
    lines = []
    for price in [*prices, *of_styles]:
        if price.style and price.style not in facts:
            continue
        name = facts[price.style].model_name if price.style else BASE_MODEL_NAME if price.is_base else ""
        line = {field: getattr(price, field) for field in PRICE_COLUMNS}
        lines.append({"style_name": name, **line})
    return lines


@admin.register(Price)
class PriceAdmin(PriceColumns, ReadOnly, OperatorAdmin):
    list_display = ["book", "of", "input_price", "cached_input_price", "output_price", "author_percent"]
    list_select_related = ["book"]
    search_fields = ["style_name"]
    ordering = ["-book__effective_from", "style_name", "is_base"]


def _find_style(name: str) -> StyleFacts:
    facts = find_style(name)
    if facts is None:
        raise forms.ValidationError(UNKNOWN.format(name=name))
    return facts
