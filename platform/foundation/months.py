"""Billing periods: calendar months in UTC, half-open [start, end). A period's name is `2026-11`."""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache


def period_of(moment: datetime) -> str:
    """Return the name of the month that holds an aware moment."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def current() -> str:
    """Return the name of the present month."""
    return _period_of_minute(int(time.time() // 60))  # months end with minutes; a request needs it at once


@lru_cache(maxsize=2)
def _period_of_minute(minute: int) -> str:
    return period_of(datetime.fromtimestamp(minute * 60, UTC))


def before(period: str) -> str:
    """Return the name of the month before. Raises ValueError for a malformed name."""
    return period_of(bounds(period)[0] - timedelta(days=1))


def bounds(period: str) -> tuple[datetime, datetime]:
    """Return (start, end) of a period, end exclusive. Raises ValueError for a malformed name."""
    start = datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC)
    end = (
        start.replace(year=start.year + 1, month=1)
        if start.month == 12
        else start.replace(month=start.month + 1)
    )
    return start, end
