"""Placeholder of the interface until it is merged."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A share of the way from floor to ceiling, with its interval."""

    share: float
    low: float
    high: float


def place_between(
    answers: Sequence[float], floor: Sequence[float], ceiling: Sequence[float], *, seed: int
) -> Place:
    """Return where answers are between floor and ceiling."""
    raise NotImplementedError
