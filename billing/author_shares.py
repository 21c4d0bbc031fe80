"""Authors' shares: booked with the usage of others, and paid out as credits when a month is finalized.

A share is booked of what each request's tokens cost at their prices. What of it is earned, because somebody
paid for them, is decided by the month (metering/earnings.py). An author's own usage earns nothing.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Max, QuerySet, Sum
from django.db.models.functions import TruncMonth

from core import months
from core.errors import Invalid
from metering import credits
from metering.earnings import decide_shares
from metering.models import AuthorEarning, CreditGrant, Invoice
from tenants.models import Tenant

logger = logging.getLogger(__name__)

PAID_AFTER = timedelta(days=1)  # as long as invoices are drafts
MAX_MONTHS = 36  # of one answer
MAX_ROWS = 10_000
WAIT_FOR_DRAFTS = timedelta(days=3)  # longer than that: one stuck draft shall not stop all authors' pay
SYSTEM = "Polyscribe"


class BadPeriods(Invalid):
    """Use months in the form 2026-11. The last must not be before the first, and the range can span at most
    {most} months."""

    code = "invalid_period"
    for_programs = (
        "`first_period` and `last_period` are months such as `2026-11`. The last must not be before the "
        "first, and the range can span at most {most} months."
    )


class TooManyEarnings(Invalid):
    """The result exceeds {most} rows. Narrow `first_period` and `last_period`."""

    code = "too_many_rows"


@dataclass(frozen=True)
class Span:
    """Some months, both ends included."""

    first_period: str
    last_period: str

    @property
    def start(self) -> datetime:
        """The first moment."""
        return months.bounds(self.first_period)[0]

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return months.bounds(self.last_period)[1]


@dataclass(frozen=True)
class Earned:
    """What a style earned its author in a month. Not all usage is paid for: see metering/earnings.py."""

    period: str
    style_id: UUID
    style_name: str
    requests: int
    tokens: int
    share_nanousd: int


def make_span(first: str, last: str) -> Span:
    """Return the months from one to another. Raises BadPeriods."""
    try:
        span = Span(first, last)
        count = (span.end.year - span.start.year) * 12 + span.end.month - span.start.month
    except (ValueError, OverflowError) as error:
        raise BadPeriods(most=MAX_MONTHS, field="first_period") from error
    if not 0 < count <= MAX_MONTHS:
        raise BadPeriods(most=MAX_MONTHS, field="first_period")
    return span


def months_before(period: str, count: int) -> str:
    """Return the month that lies so many before another one. Raises BadPeriods."""
    try:
        for _ in range(count):
            period = months.before(period)
    except (ValueError, OverflowError) as error:
        raise BadPeriods(most=MAX_MONTHS, field="last_period") from error
    return period


def earnings_of(author_id: UUID, span: Span) -> list[Earned]:
    """Return what each style earned an author in each month, the newest month first.

    Raises TooManyEarnings.
    """
    rows = AuthorEarning.objects.filter(author=author_id, day__gte=span.start.date(), day__lt=span.end.date())
    earned = _sum_by_month(rows, MAX_ROWS + 1)
    if len(earned) > MAX_ROWS:
        raise TooManyEarnings(most=MAX_ROWS)
    return earned


def newest_earnings_of(author_id: UUID, most: int) -> list[Earned]:
    """Return at most `most` of an author's rows of all months, the newest first."""
    return _sum_by_month(AuthorEarning.objects.filter(author=author_id), most)


def payouts_of(author_id: UUID, span: Span) -> list[CreditGrant]:
    """Return the credits that were paid out to an author within some months, the newest first."""
    paid = CreditGrant.objects.filter(tenant=author_id, source=CreditGrant.Source.AUTHOR_SHARE)
    within = paid.filter(created_at__gte=span.start, created_at__lt=span.end)
    return list(within.order_by("-pk"))


def unpaid_nanousd(author_id: UUID, *, until: str) -> int:
    """Return what an author earned up to a month, that month too, less what was paid out; 0 at least."""
    _, end = months.bounds(until)
    earned = AuthorEarning.objects.filter(author=author_id, day__lt=end.date())
    paid = CreditGrant.objects.filter(tenant=author_id, source=CreditGrant.Source.AUTHOR_SHARE)
    total = earned.aggregate(total=Sum("earned_nanousd", default=0))["total"]
    # An invoice that turned void after its share was paid out is set off against later shares.
    return max(0, int(total - paid.aggregate(total=Sum("amount_nanousd", default=0))["total"]))


def pay_due(now: datetime) -> int:
    """Pay out the month before as credits; return to how many authors.

    It waits until no invoice of that month is a draft, but three days at most. Safe to repeat, and
    from two at once. What is booked later for that month is paid with the next one.
    """
    period = months.before(months.period_of(now))
    _, end = months.bounds(period)
    if now < end + PAID_AFTER:
        return 0
    drafts = Invoice.objects.filter(period=period, state=Invoice.State.DRAFT).count()
    if drafts and now < end + PAID_AFTER + WAIT_FOR_DRAFTS:
        logger.warning("authors' shares of %s are waiting for %d draft invoices", period, drafts)
        return 0
    decide_shares(now)
    authors = AuthorEarning.objects.filter(day__lt=end.date()).order_by().values("author").distinct()
    count = 0
    for author in Tenant.objects.filter(pk__in=authors).order_by("pk"):
        if _pay(author, period, now):
            count += 1
    if drafts and count:
        logger.warning("authors' shares of %s were paid although %d invoices are drafts", period, drafts)
    return count


def _pay(author: Tenant, period: str, now: datetime) -> bool:
    # A source grants once: a month is paid once, however often this runs.
    source_id = f"{period} {author.pk}"
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=author.pk)  # one at a time
        paid = CreditGrant.objects.filter(source=CreditGrant.Source.AUTHOR_SHARE, source_id=source_id)
        # All that was ever earned, less all that was ever paid: what came late for older months is in it.
        due = unpaid_nanousd(author.pk, until=period)
        if due <= 0 or paid.exists():
            return False
        credits.grant_credit(
            author,
            due,
            source=CreditGrant.Source.AUTHOR_SHARE,
            source_id=source_id,
            reason=credits.GrantReason.EARNED(period=period),
            actor=SYSTEM,
            now=now,
        )
    return True


def _sum_by_month(rows: QuerySet[AuthorEarning], most: int) -> list[Earned]:
    sums = (
        rows.annotate(month=TruncMonth("day"))
        .order_by()
        .values_list("month", "style")
        .annotate(
            name=Max("style_name"),
            requests=Sum("requests"),
            tokens=Sum("tokens"),
            share=Sum("earned_nanousd", default=0),
        )
        .order_by("-month", "name", "style")
    )
    earned = []
    for month, style_id, name, requests, tokens, share in sums[:most]:
        row = Earned(f"{month:%Y-%m}", style_id, name, int(requests), int(tokens), int(share))
        earned.append(row)
    return earned
