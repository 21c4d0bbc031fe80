"""Prices: an operator adds the next price book, or a style's next price, and nobody edits one.

Beside them, to read: which styles were hosted, and what trainings hold and cost.
"""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Max
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminTextInputWidget

from adapters.public import Terms, find_style, set_price
from billing.admin.billing import dollars_column
from core.console import ListAdmin, OperatorAdmin, OperatorForm
from metering import price_book
from metering.console import AmountsInDollars, LongList, PeriodFilter
from metering.forms import MILLION
from metering.models import HostedStyle, Price, PriceBook, StylePrice, TokenPrices, TrainingHold
from metering.quota_sync.snapshot import bump_all_generations
from tenants.console import Immutable, ReadOnly

NOTICE = timedelta(minutes=1)  # in which every copy of the prices learns of the new ones


def clean_start(begins: datetime) -> datetime:
    """Return a whole minute. What begins at once could reach some copies later."""
    begins = begins.replace(second=0, microsecond=0)
    if begins < timezone.now() + NOTICE:
        raise forms.ValidationError("New prices can start in one minute at the earliest.")
    return begins


class PriceBookForm(OperatorForm):
    """A new price book: from when."""

    def clean_effective_from(self) -> datetime:
        """Return a moment after every other book."""
        begins = clean_start(self.cleaned_data["effective_from"])
        latest = price_book.complete_books().aggregate(at=Max("effective_from"))["at"]
        if latest and begins <= latest:
            raise forms.ValidationError(
                f"A price book already starts on {latest:%Y-%m-%d %H:%M} UTC. Choose a later time."
            )
        return begins


class PriceFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The prices of a new book."""

    def clean(self) -> None:
        """Refuse two prices of the same, and a first book without a price of every style."""
        of_base = []
        for form in self.forms:
            line = form.cleaned_data if form.has_changed() else form.initial
            if line:
                of_base.append(bool(line["is_base"]))
        if len(set(of_base)) < len(of_base):
            raise forms.ValidationError("There are two prices of the same. Enter one.")
        if all(of_base) and not price_book.complete_books().exists():
            raise forms.ValidationError("The first price book needs a standard price.")
        super().clean()


class PriceInline(AmountsInDollars, TabularInline):
    model = Price
    formset = PriceFormSet
    fields = ["is_base", *TokenPrices._fields]
    extra = 2
    max_num = 2


class PriceColumns:
    """Prices to read, in dollars a million tokens."""

    input_price = dollars_column("input_nanousd", "input", times=MILLION)

    cached_input_price = dollars_column("cached_input_nanousd", "cached input", times=MILLION)

    output_price = dollars_column("output_nanousd", "output", times=MILLION)


class ShownPriceInline(PriceColumns, ReadOnly, TabularInline):
    model = Price
    fields = ["of", "input_price", "cached_input_price", "output_price"]


@admin.register(PriceBook)
class PriceBookAdmin(Immutable, AmountsInDollars, OperatorAdmin):
    form = PriceBookForm
    fields = ["effective_from", "style_month_nanousd", "trained_token_nanousd"]
    list_display = ["effective_from", "hosting", "training"]
    search_fields = ["effective_from"]
    hosting = dollars_column("style_month_nanousd", "monthly hosting per style")
    training = dollars_column("trained_token_nanousd", "per million trained tokens", times=MILLION)

    def get_inlines(self, request: HttpRequest, obj: PriceBook | None) -> list[Any]:
        """Return a table to write prices in, or to read those of a book."""
        return [ShownPriceInline] if obj else [PriceInline]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Suggest the first of the next month, and to leave hosting and training at their prices."""
        now = timezone.now()
        latest = _latest_book()
        next_month = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
        return {
            "style_month_nanousd": latest.style_month_nanousd if latest else 0,
            "trained_token_nanousd": latest.trained_token_nanousd if latest else 0,
            "effective_from": next_month.replace(hour=0, minute=0, second=0, microsecond=0),
        }

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        """Begin as a copy of the latest book. A line that stays as it is counts as not written."""
        options: dict[str, Any] = super().get_formset_kwargs(request, obj, inline, prefix)
        latest = _latest_book()
        if latest and isinstance(inline, PriceInline):
            options["initial"] = list(
                latest.prices.order_by("is_base").values("is_base", *TokenPrices._fields)
            )
        return options

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the prices, and take over the others from the book before."""
        super().save_related(request, form, formsets, change)
        price_book.complete_book(form.instance)
        bump_all_generations()


def _latest_book() -> PriceBook | None:
    return price_book.complete_books().order_by("-effective_from").first()


class StylePriceForm(OperatorForm):
    """A style's next price, in dollars a million tokens, and its author's share."""

    style_name = forms.CharField(
        label="Style",
        help_text="Its model name, such as poetry or acme/brand-voice.",
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )
    author_percent = forms.IntegerField(
        label="Author's share, %",
        required=False,
        min_value=0,
        max_value=100,
        help_text="The percentage of what other workspaces pay, for a public style.",
        widget=UnfoldAdminTextInputWidget({"inputmode": "numeric"}),
    )

    def clean_effective_from(self) -> datetime:
        """Return a whole minute."""
        return clean_start(self.cleaned_data["effective_from"])

    def clean(self) -> dict[str, Any]:
        """Refuse an unknown style, some of three prices, and a share of a style that earns none."""
        given: dict[str, Any] = super().clean() or {}
        amounts = [given.get(name) for name in TokenPrices._fields]
        if None in amounts and any(amount is not None for amount in amounts):
            raise forms.ValidationError("Enter all three prices, or leave them empty for the standard price.")
        percent = given["author_percent"] = given.get("author_percent") or 0
        style = find_style(given.get("style_name", "").strip())
        if style is None:
            self.add_error("style_name", f"No such style: {given.get('style_name')}.")
            return given
        if percent and not style.is_reviewed:
            self.add_error("author_percent", "Only a workspace's public style can have a share.")
        if "effective_from" in given:
            before = price_book.style_price_at(style.pk, given["effective_from"])
            known = Terms(before.amounts, before.author_percent) if before else Terms()
            if known == Terms(TokenPrices.of(*amounts), percent):
                raise forms.ValidationError("The style has this price then already.")
        self.instance.style = style.pk
        return given


@admin.register(StylePrice)
class StylePriceAdmin(Immutable, AmountsInDollars, OperatorAdmin):
    form = StylePriceForm
    list_display = ["style_name", "effective_from", "price", "author_percent"]
    search_fields = ["style_name"]
    ordering = ["-effective_from", "style_name"]
    readonly_fields = ["price"]

    def get_fields(self, request: HttpRequest, obj: StylePrice | None = None) -> list[str]:
        """Ask for the prices, or show them."""
        amounts = ["price", "author"] if obj else TokenPrices._fields
        return ["style_name", "effective_from", *amounts, "author_percent"]

    @admin.display(description="per million tokens")
    def price(self, row: StylePrice) -> str:
        if row.amounts is None:
            return "standard price"
        return " / ".join(price_book.dollars_a_million(row.amounts).values())

    def save_model(self, request: HttpRequest, obj: StylePrice, form: Any, change: bool) -> None:
        """Add the price, and take the new row over into the console's own object."""
        terms = Terms(obj.amounts, obj.author_percent)
        begins = set_price(obj.style, terms, at=obj.effective_from)
        obj.pk = StylePrice.objects.get(style=obj.style, effective_from=begins).pk


@admin.register(HostedStyle)
class HostedStyleAdmin(LongList, ReadOnly, ListAdmin):
    list_display = ["period", "tenant", "style_name", "noted_at"]
    list_filter = [PeriodFilter]
    list_select_related = ["tenant"]
    search_fields = ["style_name", "tenant__slug"]
    ordering = ["-period", "-pk"]
    id_field = "style_name"


MOMENTS = ("created_at", "confirmed_at", "settled_at")


@admin.register(TrainingHold)
class TrainingHoldAdmin(ReadOnly, ListAdmin):
    list_display = ["created_at", "tenant", "training", "held", "price", "most_tokens", "settled_at"]
    list_filter = [("settled_at", admin.EmptyFieldListFilter)]
    list_select_related = ["tenant"]
    search_fields = ["training", "tenant__slug"]
    ordering = ["-created_at", "-training"]
    fields = ["tenant", "training", "held", "price", "most_tokens", "period", *MOMENTS]

    held = dollars_column("nanousd", "held")
    price = dollars_column("token_nanousd", "per million", times=MILLION)
