"""Hosting of private styles: which were hosted in a month, and what a style-month costs."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from core import months
from metering import price_book
from metering.models import HostedStyle


@dataclass(frozen=True)
class Hosted:
    """A private style that an engine has loaded."""

    tenant_id: UUID
    style: UUID
    style_name: str


def record_hosted(styles: Iterable[Hosted], period: str) -> None:
    """Write down that styles are hosted in a month, each once. Safe to repeat, and from many at once."""
    rows = []
    for hosted in sorted(styles, key=lambda one: one.style):  # in one order: two writers never wait crosswise
        row = HostedStyle(
            tenant_id=hosted.tenant_id,
            style=hosted.style,
            style_name=hosted.style_name[:100],
            period=period,
        )
        rows.append(row)
    HostedStyle.objects.bulk_create(rows, ignore_conflicts=True)


def count_hosted(tenant_id: UUID, period: str) -> int:
    """Return how many private styles of a workspace were hosted at some moment of a month."""
    return HostedStyle.objects.filter(tenant=tenant_id, period=period).count()


def style_month_nanousd(period: str) -> int:
    """Return what hosting one style costs in a month: the price in force when the month begins."""
    # Not the price at the month's end: it is known before a style is hosted.
    start, _ = months.bounds(period)
    book = price_book.book_at(start)
    return book.style_month_nanousd if book else 0
