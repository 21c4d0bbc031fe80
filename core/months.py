"""Billing periods: calendar months in UTC, half-open [start, end). A period's name is `2026-11`."""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from django.utils.formats import date_format


def period_of(moment: datetime) -> str:
    """Return the name of the month that holds an aware moment."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def current() -> str:
    """Return the name of the present month."""
    # Every request needs it, and a month never ends within a minute: so the answer is cached for a minute.
    return _period_of_minute(int(time.time() // 60))


@lru_cache(maxsize=2)
def _period_of_minute(minute: int) -> str:
    return period_of(datetime.fromtimestamp(minute * 60, UTC))


def before(period: str) -> str:
    """Return the name of the month before. Raises ValueError for a malformed name."""
    return period_of(bounds(period)[0] - timedelta(days=1))


def in_words(period: str) -> str:
    """Return a period in the active language, `November 2026`. Raises ValueError for a malformed name."""
    return date_format(bounds(period)[0], "F Y")


def bounds(period: str) -> tuple[datetime, datetime]:
    """Return (start, end) of a period, end exclusive. Raises ValueError for a malformed name."""
    start = datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC)
    if start.month == 12:
        return start, start.replace(year=start.year + 1, month=1)
    return start, start.replace(month=start.month + 1)
