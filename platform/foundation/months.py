"""Billing periods: calendar months in UTC, half-open [start, end). A period's name is `2026-11`."""

from datetime import UTC, datetime


def period_of(moment: datetime) -> str:
    """Return the name of the month that holds an aware moment."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def current() -> str:
    """Return the name of the present month."""
    return period_of(datetime.now(UTC))


def bounds(period: str) -> tuple[datetime, datetime]:
    """Return (start, end) of a period, end exclusive. Raises ValueError for a malformed name."""
    start = datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC)
    end = (
        start.replace(year=start.year + 1, month=1)
        if start.month == 12
        else start.replace(month=start.month + 1)
    )
    return start, end
