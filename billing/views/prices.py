"""The price list, which everybody may read."""

from datetime import datetime
from operator import itemgetter

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from adapters.public import describe_styles
from billing import plan_text
from core.money import usd
from metering import plans, price_book, trainings
from metering.forms import MILLION
from metering.price_book import Schedule


@require_GET
def show_prices(request: HttpRequest) -> HttpResponse:
    """Show everybody the plans, and what tokens cost."""
    now = timezone.now()
    prices = _price_rows(price_book.announced_prices(now), now)
    own_prices = []
    for name, schedule in _public_schedules(now):
        own_prices.append((name, _price_rows(schedule, now)))
    versions = []
    for version in [*plans.offered_plans(), *plans.announced_plans()]:
        begins = version.effective_from if version.effective_from > now else None
        fee = usd(version.monthly_fee_nanousd)
        versions.append((version, fee, begins, plan_text.overage_text(version)))
    context = {
        "versions": versions,
        "prices": prices,
        "own_prices": own_prices,
        "training_prices": _training_rows(now),
    }
    return render(request, "billing/prices.html", context)


def _public_schedules(now: datetime) -> list[tuple[str, Schedule]]:
    """Return name and prices of what has its own: the base model, and public styles in their order."""
    schedules = price_book.schedules_of(None, now)
    shown = []
    for facts in describe_styles(schedules.keys()).values():
        if facts.is_public:
            shown.append((facts.model_name, schedules[facts.id]))
    shown.sort(key=itemgetter(0))
    base = price_book.base_schedule(now)
    return [("base", base), *shown] if base else shown


def _training_rows(now: datetime) -> list[dict[str, object]]:
    """Return what training a style costs in dollars a million trained tokens, and when that changes."""
    rows: list[dict[str, object]] = []
    for begins, token_nanousd in trainings.announced_prices(now):
        rows.append({"from": begins if begins > now else None, "price": usd(MILLION * token_nanousd)})
    return rows


def _price_rows(schedule: Schedule, now: datetime) -> list[dict[str, object]]:
    """Return prices in dollars a million tokens; an entry without any means the price of every style."""
    rows = []
    for entry in schedule:
        begins = entry.effective_from if entry.effective_from > now else None
        row: dict[str, object] = {"from": begins, "author_percent": entry.author_percent}
        if entry.amounts:
            row |= price_book.dollars_a_million(entry.amounts)
        rows.append(row)
    return rows
