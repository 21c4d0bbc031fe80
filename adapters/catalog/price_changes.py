"""A new price of a style that is public: proposed by its owner, agreed by operators, then mailed.

It waits in a row of its own until its moment comes, and makes an edition of all prices then. An edition that
was made when it is agreed would hold up every other one until its day: see decision 38.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from adapters.catalog.price_book_versions import lock_editions, price_style
from adapters.catalog.terms import AMOUNTS, Terms, require_bounds
from adapters.errors import ChangedMeanwhile, NoPriceChange, PriceAgreed, TooEarly, TooLate, WithoutCatalogue
from adapters.models import PriceChange, Selection, Style
from events.models import EventType
from events.outbox import record_event
from metering.price_book import Entry, Schedule, announced_entry, find_price
from metering.price_book import amounts as price_amounts

NOTICE_DAYS = 7  # between the agreement and the new price: who does not want it leaves the style
ANSWERED_IN_DAYS = 1  # that operators have at least
MOST_DAYS = 90
EDITION_AHEAD = timedelta(minutes=3)  # every copy of the prices learns of an edition in two

State = PriceChange.State


def first_day_possible(now: datetime) -> date:
    """Return the first day from which an owner may want another price."""
    return now.date() + timedelta(days=NOTICE_DAYS + ANSWERED_IN_DAYS)


def terms_of(change: PriceChange) -> Terms:
    """Return what is asked for."""
    return Terms.of((getattr(change, name) for name in AMOUNTS), change.author_percent)


def open_change(style: Style) -> PriceChange | None:
    """Return what is asked for and not in force yet, if anything."""
    return PriceChange.objects.open().filter(style=style).first()


def last_answer(style: Style) -> PriceChange | None:
    """Return the newest change if operators declined it."""
    newest = PriceChange.objects.filter(style=style).order_by("-asked_at", "-pk").first()
    return newest if newest and newest.state == State.DECLINED else None


def ask_price(style: Style, terms: Terms, first_day: date) -> PriceChange:
    """Ask for other prices and another share of a public style from a day on, instead of what was asked.

    Raises WithoutCatalogue unless it is public and another workspace's than the service's own, PriceAgreed
    while an agreed one has not begun, TermsOutOfBounds, SharePercent, TooEarly and TooLate.
    """
    require_bounds(terms)
    today = timezone.now()
    if first_day < first_day_possible(today):
        raise TooEarly(first=first_day_possible(today), field="first_day")
    if first_day > today.date() + timedelta(days=MOST_DAYS):
        raise TooLate(days=MOST_DAYS, field="first_day")
    with transaction.atomic():
        style = Style.objects.lock(style.pk)
        if not style.is_reviewed or style.public_until or style.retired_at:
            raise WithoutCatalogue
        # Locked: an operator may agree at this moment.
        known = PriceChange.objects.open().select_for_update().filter(style=style).first()
        change = known or PriceChange(style=style)
        if change.state == State.AGREED:
            raise PriceAgreed
        # The audit log keeps what was withdrawn; rows would grow with every change of mind.
        PriceChange.objects.filter(style=style, state=State.WITHDRAWN).delete()
        amounts = terms.amounts or (None, None, None)
        change.input_nanousd, change.cached_input_nanousd, change.output_nanousd = amounts
        change.author_percent = terms.author_percent
        change.first_day = first_day
        change.save()
    return change


def withdraw_price(style: Style) -> PriceChange:
    """Take back what operators have not answered yet. Raises NoPriceChange, PriceAgreed."""
    change = open_change(style)
    if change is None:
        raise NoPriceChange
    waiting = PriceChange.objects.waiting().filter(pk=change.pk)
    if not waiting.update(state=State.WITHDRAWN, changed_at=timezone.now()):
        raise PriceAgreed
    change.refresh_from_db()
    return change


def agree_price(change: PriceChange, seen_at: datetime | None = None, now: datetime | None = None) -> None:
    """Agree to a change: it begins on its day, or a week from now if that is later.

    Raises NoPriceChange unless it waits, and ChangedMeanwhile if its owner has changed it since it was looked
    at.
    """
    now = now or timezone.now()
    with transaction.atomic():
        held = _lock_waiting(change)
        if seen_at and held.changed_at > seen_at:
            raise ChangedMeanwhile
        wanted = datetime.combine(held.first_day, time(), UTC)
        earliest = _midnight_after(now + timedelta(days=NOTICE_DAYS))
        held.effective_from = max(wanted, earliest)
        held.state = State.AGREED
        held.save()
        _record_decision(held, "price_agreed", prices_from=held.effective_from.isoformat())


def decline_price(change: PriceChange, reason: str) -> None:
    """Answer with the reason why not, which its owner reads. Raises NoPriceChange unless it waits."""
    with transaction.atomic():
        held = _lock_waiting(change)
        held.state = State.DECLINED
        held.reason = reason[:300]
        held.save()
        _record_decision(held, "price_declined", reason=held.reason)


def announce_agreed(now: datetime) -> int:
    """Tell those who selected a style what it is to cost and from when; return of how many styles.

    Safe to repeat, and from two workers at once.
    """
    count = 0
    for change in PriceChange.objects.agreed().filter(announced_at=None):
        count += _announce(change.pk, now)
    return count


def begin_due(now: datetime) -> int:
    """Make an edition of prices for each change whose moment comes; return how many.

    A style that left the catalogue meanwhile keeps its price. Safe to repeat, and from two workers at once.
    """
    due = PriceChange.objects.agreed().filter(
        effective_from__lte=now + EDITION_AHEAD, announced_at__isnull=False
    )
    return sum(_begin(change.pk) for change in list(due))


def add_agreed(schedules: dict[UUID, Schedule], style_ids: Collection[UUID]) -> dict[UUID, Schedule]:
    """Return style → its prices, with those that are agreed and not in an edition yet; two queries."""
    added = dict(schedules)
    now = timezone.now()
    agreed = list(PriceChange.objects.agreed().filter(style__in=style_ids).exclude(effective_from=None))
    general = find_price(now) if agreed else None
    for change in agreed:
        if change.effective_from and general:
            terms = terms_of(change)
            entry = announced_entry(
                change.effective_from, terms.amounts or price_amounts(general), terms.author_percent
            )
            until_then = added.get(change.style_id) or [Entry(general.book.effective_from, None)]
            added[change.style_id] = [*until_then, entry]
    return added


def _record_decision(change: PriceChange, decision: str, **facts: str) -> None:
    style = change.style
    record_event(style.owner_id, EventType.STYLE_OFFER_DECIDED, style, decision=decision, **facts)


def _lock_waiting(change: PriceChange) -> PriceChange:
    waiting = PriceChange.objects.waiting().select_for_update(of=("self",)).select_related("style__owner")
    held = waiting.filter(pk=change.pk).first()
    if held is None:
        raise NoPriceChange
    return held


def _midnight_after(moment: datetime) -> datetime:
    return datetime.combine(moment.date() + timedelta(days=1), time(), UTC)


def _announce(change_id: int, now: datetime) -> bool:
    with transaction.atomic():
        untold = PriceChange.objects.agreed().filter(pk=change_id, announced_at=None)
        change = (
            untold.select_for_update(skip_locked=True, of=("self",)).select_related("style__owner").first()
        )
        if change is None:
            return False
        selecting = Selection.objects.in_force().filter(style=change.style_id).order_by("tenant")
        others = selecting.exclude(tenant=change.style.owner_id)
        for tenant_id in others.values_list("tenant", flat=True):
            record_event(tenant_id, EventType.STYLE_PRICE_ANNOUNCED, change)
        PriceChange.objects.filter(pk=change_id).update(announced_at=now)
    return True


def _begin(change_id: int) -> bool:
    with transaction.atomic():
        lock_editions()  # before any style's row: an edition writes those
        agreed = PriceChange.objects.agreed().select_related("style__owner")
        change = agreed.filter(pk=change_id).first()
        if change is None or change.effective_from is None:
            return False
        style = change.style
        if not style.is_public or style.retired_at:
            PriceChange.objects.filter(pk=change_id).update(state=State.WITHDRAWN)
            return False
        begins = price_style(style, terms_of(change), at=change.effective_from)
        PriceChange.objects.filter(pk=change_id).update(state=State.BEGUN, effective_from=begins)
    return True
