"""Prices that owners of public styles ask for: operators agree or decline."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from django.contrib import admin
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime

from adapters.admin.rows import ReadOnly
from adapters.admin.styles import SeenForm
from adapters.catalog import price_changes, terms
from adapters.models import PriceChange
from core.console import OperatorAdmin, operator_action, state_column


@admin.register(PriceChange)
class PriceChangeAdmin(ReadOnly, OperatorAdmin):
    list_display = ["style", "shown_state", "asks_for", "first_day", "effective_from", "asked_at"]
    list_filter = ["state"]
    list_select_related = ["style__owner"]
    search_fields = ["style__slug", "style__owner__slug"]
    fields = [
        *("style", "state", "costs_now", "asks_for", "first_day", "effective_from", "announced_at"),
        *("reason", "asked_at", "changed_at"),
    ]
    readonly_fields = fields
    action_form = SeenForm
    actions = ["agree", "decline"]
    shown_state = state_column("state", soon=["waiting"])

    @admin.display(description="requested")
    def asks_for(self, change: PriceChange) -> str:
        return terms.summarize_terms(price_changes.terms_of(change)) or "standard price, no share"

    @admin.display(description="current price")
    def costs_now(self, change: PriceChange) -> str:
        prices = terms.prices_of(change.style)
        now = prices[0] if prices else {"author_percent": 0}
        amounts = "standard price"
        if "input" in now:
            amounts = f"{now['input']} / {now['cached_input']} / {now['output']} per million tokens"
        return f"{amounts}, {now['author_percent']}% to the author"

    @operator_action(
        "Agree",
        effect="The price takes effect on the requested date, or in a week if that is later. Workspaces "
        "that selected the style are notified within a minute.",
        done="Approved",
        permissions=["steer"],
    )
    def agree(self, request: HttpRequest, change: PriceChange, reason: str) -> None:
        price_changes.agree_price(change, parse_datetime(request.POST.get("seen_at", "")))

    @operator_action(
        "Decline",
        effect="The style keeps its current price.",
        done="Declined",
        permissions=["steer"],
        reader="; visible to the owner",
    )
    def decline(self, request: HttpRequest, change: PriceChange, reason: str) -> None:
        price_changes.decline_price(change, reason)
