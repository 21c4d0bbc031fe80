"""Money is an integer number of nano-USD (10⁻⁹ dollars), so that one token's price is exact."""

NANO = 1_000_000_000


def usd(nanousd: int) -> str:
    """Return an exact amount for people: `$12.00`, `$0.0000042`; at least cents, never rounded."""
    sign = "-" if nanousd < 0 else ""
    whole, rest = divmod(abs(nanousd), NANO)
    fraction = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole:,}.{fraction}"


def dollars(nanousd: int | None) -> str | None:
    """Return an amount for programs, as a decimal text: `12.50`, `0.0000042`."""
    return None if nanousd is None else usd(nanousd).replace("$", "").replace(",", "")
