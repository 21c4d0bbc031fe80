"""Money is an integer number of nano-USD (10⁻⁹ dollars), so that one token's price is exact."""

from django.utils.formats import get_format, number_format
from django.utils.translation import gettext

NANO = 1_000_000_000


def usd(nanousd: int) -> str:
    """Return an exact amount for people: `$12.00`, `$0.0000042`; at least cents, never rounded.

    It is written as the active language writes money: `12,00\u00a0$` in German.
    """
    sign = "-" if nanousd < 0 else ""
    whole, fraction = _parts(nanousd)
    amount = number_format(whole, force_grouping=True) + get_format("DECIMAL_SEPARATOR") + fraction
    return sign + gettext("${amount}").format(amount=amount)


def dollars(nanousd: int | None) -> str | None:
    """Return an amount for programs, as a decimal text: `12.50`, `0.0000042`."""
    if nanousd is None:
        return None
    whole, fraction = _parts(nanousd)
    return f"{'-' if nanousd < 0 else ''}{whole}.{fraction}"


def _parts(nanousd: int) -> tuple[int, str]:
    """Return an amount's whole dollars and its digits after the point, two at least."""
    whole, rest = divmod(abs(nanousd), NANO)
    return whole, f"{rest:09d}".rstrip("0").ljust(2, "0")
