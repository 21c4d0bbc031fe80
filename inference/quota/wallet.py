"""What is left of a workspace's included tokens and credits, from what Valkey has. Admission counts alike."""

from dataclasses import dataclass

from metering.price_book import payable_nanousd

BOTH, PREVIOUS, CURRENT = "b", "p", "c"  # the months that an amount pays


@dataclass(frozen=True)
class MonthUse:
    """What a month has used until now: tokens, and their cost in nano-USD."""

    tokens: int
    nanousd: int


@dataclass(frozen=True)
class Wallet:
    """The published field `wallet` (quota_sync/credit_field.py): included tokens, and grants in burn order.

    An amount is what was left of it before the month before.
    """

    period: str
    previous: str
    included_tokens: int
    previous_included_tokens: int
    grants: tuple[tuple[int, str], ...]

    @property
    def needs_previous(self) -> bool:
        """Whether what is left depends on what the month before used."""
        return any(covered == BOTH for _, covered in self.grants)

    def left_nanousd(self, used: MonthUse, before: MonthUse | None) -> int:
        """Return the credits that are left for this month; the month before burns first."""
        owed_before = 0
        if before:
            owed_before = payable_nanousd(before.nanousd, before.tokens, self.previous_included_tokens)
        left = 0
        for amount, covered in self.grants:
            # As admission.lua does it, grant by grant, so that both come to the same.
            burned = 0 if covered == CURRENT else min(owed_before, amount)
            owed_before -= burned
            if covered != PREVIOUS:
                left += amount - burned
        return max(0, left - payable_nanousd(used.nanousd, used.tokens, self.included_tokens))


def read_wallet(written: str) -> Wallet | None:
    """Return the wallet that a field means; None where none is published."""
    if not written:
        return None
    period, previous, included, previous_included, *entries = written.split()
    grants = []
    for entry in entries:
        amount, _, covered = entry.partition(":")
        grants.append((int(amount), covered))
    return Wallet(period, previous, int(included), int(previous_included), tuple(grants))
