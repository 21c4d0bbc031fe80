"""What tokens cost. Pure integer arithmetic in nano-USD: nothing is ever rounded here."""

from typing import Protocol


class Prices(Protocol):
    """Anything that carries the three prices, in nano-USD a token."""

    @property
    def input_nanousd(self) -> int: ...
    @property
    def cached_input_nanousd(self) -> int: ...
    @property
    def output_nanousd(self) -> int: ...


def payable_nanousd(cost: int, tokens: int, included: int) -> int:
    """Return what a month's usage costs beyond the included tokens, which take off their share of it.

    It never falls when cost or tokens grow. The admission script has the same formula, rounded up.
    """
    if tokens <= included:
        return 0
    return cost - cost * included // tokens


def cost_nanousd(prices: Prices, prompt: int, cached: int, completion: int) -> int:
    """Return the exact cost of one request. `cached` counts those of the prompt's tokens that were cached.

    Raises ValueError when a count is negative or more was cached than the prompt holds.
    """
    if not 0 <= cached <= prompt or completion < 0:
        raise ValueError(f"impossible token counts: {prompt=} {cached=} {completion=}")
    return (
        (prompt - cached) * prices.input_nanousd
        + cached * prices.cached_input_nanousd
        + completion * prices.output_nanousd
    )
