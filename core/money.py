"""Money is an integer number of nano-USD (10⁻⁹ dollars), so that one token's price is exact."""

from django.utils.formats import get_format, number_format
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

NANO = 1_000_000_000
CENT = NANO // 100
COLUMN_DECIMALS = 6  # at most, of amounts in a column: a request costs some millionths of a dollar


def usd(nanousd: int) -> str:
    """Return an exact amount for people: `$12.00`, `$0.0000042`; at least cents, never rounded.

    It is written as the active language writes money: `12,00\u00a0$` in German.
    """
    whole, fraction = _parts(nanousd)
    return _write(nanousd < 0, whole, fraction)


def usd_rounded(nanousd: int, decimals: int = 2) -> str:
    """Return an amount with so many decimals (1 to 9), rounded half up, so that a column is aligned."""
    step = 10 ** (9 - decimals)
    whole, rest = divmod((abs(nanousd) + step // 2) // step, 10**decimals)
    return _write(nanousd < 0, whole, f"{rest:0{decimals}d}")


def usd_at_most(nanousd: int) -> str:
    """Return an amount in whole cents, rounded up: it is shown as a maximum."""
    return usd(-(-nanousd // CENT) * CENT)


def usd_at_least(nanousd: int) -> str:
    """Return an amount in whole cents, rounded down: so much is left."""
    return usd(nanousd // CENT * CENT)


def decimals_of(nanousd: int) -> int:
    """Return how many decimals an exact amount has as `usd` writes it: 2 to 9."""
    return len(_parts(nanousd)[1])


def usd_about(nanousd: int) -> str:
    """Return an amount at a glance: whole cents, or "< $0.01" for less than one."""
    if 0 < nanousd < CENT:
        return f"< {usd_rounded(CENT)}"
    return usd_rounded(0 if -CENT // 2 < nanousd < 0 else nanousd)  # never -$0.00


def usd_at_a_glance(nanousd: int) -> SafeString:
    """Return an amount as `usd_about`, for a page: with the exact one on hover, if they differ."""
    shown = usd_about(nanousd)
    return conditional_escape(shown) if shown == usd(nanousd) else usd_element(nanousd, shown)


def usd_element(nanousd: int, shown: str) -> SafeString:
    """Return an amount as a page shows it, with the exact one on hover."""
    return format_html('<data value="{}" title="{}">{}</data>', dollars(nanousd), usd(nanousd), shown)


def dollars(nanousd: int | None) -> str | None:
    """Return an amount for programs, as a decimal text: `12.50`, `0.0000042`."""
    if nanousd is None:
        return None
    whole, fraction = _parts(nanousd)
    return f"{'-' if nanousd < 0 else ''}{whole}.{fraction}"


def _write(is_negative: bool, whole: int, fraction: str) -> str:
    amount = number_format(whole, force_grouping=True) + get_format("DECIMAL_SEPARATOR") + fraction
    return ("-" if is_negative else "") + gettext("${amount}").format(amount=amount)


def _parts(nanousd: int) -> tuple[int, str]:
    """Return an amount's whole dollars and its digits after the point, two at least."""
    whole, rest = divmod(abs(nanousd), NANO)
    return whole, f"{rest:09d}".rstrip("0").ljust(2, "0")
