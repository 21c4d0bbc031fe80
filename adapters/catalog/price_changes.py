"""What a style costs from a moment on, and what the owner of a public one asks for instead.

A style's prices are rows of one table that only grows, each with the moment from which it counts. What an
owner asks for waits in a row of its own. Once operators agree, those who selected the style are told, and the
price is added for its day.
"""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from adapters.catalog.terms import Terms, require_bounds
from adapters.errors import ChangedMeanwhile, NoPriceChange, PriceAgreed, TooEarly, TooLate, WithoutCatalogue
from adapters.models import PriceChange, Selection, Style
from adapters.routing import publisher
from events.models import EventType
from events.outbox import record_event
from metering.models import StylePrice
from metering.price_book import style_price_at
from tenants.access import Access

NOTICE_DAYS = 7  # between the notice and the new price: who does not want it leaves the style
TOLD_WITHIN = timedelta(hours=1)  # after the agreement; usually a minute
ANSWERED_IN_DAYS = 1  # that operators have at least
MOST_DAYS = 90
A_MINUTE = timedelta(minutes=1)
PUBLISHED_WITHIN = timedelta(minutes=2)  # every copy of the prices learns of a new one in it

State = PriceChange.State


def set_price(style_id: UUID, terms: Terms, *, at: datetime | None = None) -> datetime:
    """Add a price and a share of a style; return from when they count.

    That is in two minutes, or at a later moment that is given. Nothing is added if they count then already.
    """
    soonest = timezone.now().replace(second=0, microsecond=0) + PUBLISHED_WITHIN
    begins = max(at or soonest, soonest)
    with transaction.atomic():
        style = Style.objects.lock(style_id)
        before = style_price_at(style_id, begins)
        known = Terms(before.amounts, before.author_percent) if before else Terms()
        if terms == known:
            return before.effective_from if before else begins
        while StylePrice.objects.filter(style=style_id, effective_from=begins).exists():
            begins += A_MINUTE
        StylePrice.objects.create(
            style=style_id,
            style_name=style.model_name,
            effective_from=begins,
            author=style.owner,
            **terms.columns,
        )
        publisher.mark_repriced([style_id])
    return begins


def first_day_possible(now: datetime) -> date:
    """Return the first day from which an owner may want another price."""
    return now.date() + timedelta(days=NOTICE_DAYS + ANSWERED_IN_DAYS)


def terms_of(change: PriceChange) -> Terms:
    """Return what is asked for."""
    return Terms(change.amounts, change.author_percent)


def open_change(style: Style) -> PriceChange | None:
    """Return what is asked for and not in force yet, if anything."""
    return PriceChange.objects.open(timezone.now()).filter(style=style).first()


def last_answer(style: Style) -> PriceChange | None:
    """Return the newest change if operators declined it."""
    newest = PriceChange.objects.filter(style=style).order_by("-asked_at", "-pk").first()
    return newest if newest and newest.state == State.DECLINED else None


@transaction.atomic
def ask_price(access: Access, style: Style, terms: Terms, first_day: date) -> PriceChange:
    """Ask for other prices and another share of a public style from a day on, instead of what was asked.

    Raises WithoutCatalogue unless it is public and another workspace's than the service's own, PriceAgreed
    while an agreed one does not count yet, TermsOutOfBounds, SharePercent, TooEarly and TooLate.
    """
    require_bounds(terms)
    today = timezone.now()
    if first_day < first_day_possible(today):
        raise TooEarly(first=first_day_possible(today), field="first_day")
    if first_day > today.date() + timedelta(days=MOST_DAYS):
        raise TooLate(days=MOST_DAYS, field="first_day")
    style = Style.objects.lock(style.pk)
    if not style.is_reviewed or style.public_until or style.retired_at:
        raise WithoutCatalogue
    # Locked: an operator may agree at this moment.
    known = PriceChange.objects.open(today).select_for_update().filter(style=style).first()
    change = known or PriceChange(style=style)
    if change.state == State.AGREED:
        raise PriceAgreed
    # The audit log keeps what was withdrawn; rows would grow with every change of mind.
    PriceChange.objects.filter(style=style, state=State.WITHDRAWN).delete()
    for name, value in terms.columns.items():
        setattr(change, name, value)
    change.first_day = first_day
    change.save()
    access.audit(
        "style.price_asked", style, after={**terms.asked_columns, "first_day": first_day.isoformat()}
    )
    return change


@transaction.atomic
def withdraw_price(access: Access, style: Style) -> PriceChange:
    """Take back what operators have not answered yet. Raises NoPriceChange, PriceAgreed."""
    change = open_change(style)
    if change is None:
        raise NoPriceChange
    waiting = PriceChange.objects.waiting().filter(pk=change.pk)
    if not waiting.update(state=State.WITHDRAWN, changed_at=timezone.now()):
        raise PriceAgreed
    change.refresh_from_db()
    access.audit("style.price_withdrawn", style)
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
        held.effective_from = max(wanted, _first_midnight(now + TOLD_WITHIN))
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


def end_open(style: Style, now: datetime) -> None:
    """Withdraw what is asked for of a style that leaves the catalogue: it keeps its price, for its owner.

    What counts within minutes stays. Call it in a transaction that has locked the style.
    """
    later = now + PUBLISHED_WITHIN
    ended = PriceChange.objects.open(later).filter(style=style)
    days = ended.exclude(announced_at=None).values("effective_from")
    announced = StylePrice.objects.filter(style=style.pk, effective_from__gt=later, effective_from__in=days)
    if announced.delete()[0]:
        publisher.mark_repriced([style.pk])
    ended.update(state=State.WITHDRAWN, changed_at=now)


def announce_agreed(now: datetime) -> int:
    """Tell those who selected a style what it is to cost and from when, and add that; return of how many.

    Safe to repeat, and from two workers at once.
    """
    return sum(_announce(change, now) for change in list(PriceChange.objects.untold()))


def _record_decision(change: PriceChange, decision: str, **facts: str) -> None:
    style = change.style
    record_event(style.owner_id, EventType.STYLE_OFFER_DECIDED, style, decision=decision, **facts)


def _lock_waiting(change: PriceChange) -> PriceChange:
    waiting = PriceChange.objects.waiting().select_for_update(of=("self",)).select_related("style__owner")
    held = waiting.filter(pk=change.pk).first()
    if held is None:
        raise NoPriceChange
    return held


def _first_midnight(told_at: datetime) -> datetime:
    """Return the midnight that ends the notice of those who are told at a moment."""
    day = told_at.date() + timedelta(days=NOTICE_DAYS + 1)
    return datetime.combine(day, time(), UTC)


def _announce(change: PriceChange, now: datetime) -> bool:
    with transaction.atomic():
        style = Style.objects.lock(change.style_id)
        held = PriceChange.objects.untold().select_related("style__owner").filter(pk=change.pk).first()
        if held is None or held.effective_from is None:
            return False
        if not style.is_public or style.retired_at:
            PriceChange.objects.filter(pk=held.pk).update(state=State.WITHDRAWN)
            return False
        # A week from now at least, even if nobody was told for days after the agreement.
        day = max(held.effective_from, _first_midnight(now))
        held.effective_from = set_price(style.pk, terms_of(held), at=day)
        held.announced_at = now
        held.save()
        selecting = Selection.objects.in_force().filter(style=style).order_by("tenant")
        for tenant_id in selecting.exclude(tenant=style.owner_id).values_list("tenant", flat=True):
            record_event(tenant_id, EventType.STYLE_PRICE_ANNOUNCED, held)
    return True
