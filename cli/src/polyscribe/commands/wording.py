"""Amounts and moments as people read them. Programs get them as the API gives them: see `--json`."""

from datetime import datetime, timezone
from decimal import Decimal

CENT = Decimal("0.01")
STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (30, "day"))
JUST_NOW_S = 5


def dollars(amount: str | None) -> str | None:
    """Return an amount as `$1,234.50`; below a cent with its first two digits, as `$0.000045`."""
    if amount is None:
        return None
    value = Decimal(amount)
    if value == 0 or abs(value) >= CENT:
        return f"${value:,.2f}"
    digits = 1 - value.adjusted()
    return f"${value:.{digits}f}".rstrip("0")


def count(number: int | None) -> str | None:
    """Return a number as `1,234`."""
    return None if number is None else f"{number:,}"


def moment(written: str | None, *, never: str = "") -> str:
    """Return a moment as `2 minutes ago` or `in 3 days`; one that is over a month away as its day."""
    if written is None:
        return never
    at = parse_time(written)
    seconds = (datetime.now(timezone.utc) - at).total_seconds()
    amount = abs(seconds)
    if amount < JUST_NOW_S:
        return "just now"
    for step, unit in STEPS:
        if amount < step:
            words = f"{int(amount)} {unit}{'' if int(amount) == 1 else 's'}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
        amount /= step
    return f"{at:%Y-%m-%d}"


def clock(written: str) -> str:
    """Return a moment as the time of day of this machine, for lines that are printed as things happen."""
    return f"{parse_time(written).astimezone():%H:%M:%S}"


def parse_time(written: str) -> datetime:
    """Return a moment of the API. Raises ValueError."""
    return datetime.fromisoformat(written.replace("Z", "+00:00"))  # Python 3.10 reads no Z
