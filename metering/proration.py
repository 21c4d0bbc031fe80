"""What a month's plans come to by day: pure arithmetic over the plan versions that a workspace was on.

Each UTC day belongs to the dearest plan that was in force within it. A plan's fee is shared by its days, and
so are its included tokens (decision 50).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.money import NANO
from metering.models import PlanVersion

CENT = NANO // 100


@dataclass(frozen=True)
class Stay:
    """A plan version in [starts_at, ends_at); None: it goes on."""

    version: PlanVersion
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True)
class FeeShare:
    """The fee of one plan version for its days of a month."""

    version: PlanVersion
    days: int
    month_days: int

    @property
    def amount_nanousd(self) -> int:
        """The whole fee of a whole month, else its share, rounded down to whole cents.

        Down, so that the shares of a month are never more than its highest fee.
        """
        fee = self.version.monthly_fee_nanousd
        if self.days == self.month_days:
            return fee
        return fee * self.days // self.month_days // CENT * CENT


@dataclass(frozen=True)
class MonthTerms:
    """What a month's plans come to: fees in order of time, and the included tokens.

    `dearest` is the plan version with the highest fee; `days` says which version each day belongs to.
    """

    dearest: PlanVersion
    days: Sequence[PlanVersion]
    included_tokens: int

    @property
    def fees(self) -> list[FeeShare]:
        """The fee of each plan version that has days, in order of time."""
        versions = {version.pk: version for version in self.days}
        counts = dict.fromkeys(versions, 0)
        for version in self.days:
            counts[version.pk] += 1
        return [FeeShare(versions[key], counts[key], len(self.days)) for key in versions]

    @property
    def fee_nanousd(self) -> int:
        """The sum of the fees, as the invoice asks for it."""
        return sum(share.amount_nanousd for share in self.fees)


def month_terms(
    stays: Iterable[Stay], find_free: Callable[[], PlanVersion], start: datetime, end: datetime
) -> MonthTerms:
    """Return what plan versions come to in the month [start, end).

    Days without one, as before the workspace was founded, have no fee and include what its version without a
    fee does, else the free plan.

    The included tokens are the mean of what each day's plan includes in a month, rounded down. A day counts
    at least as many as the days before it, so a change of plan makes no usage dearer that came before it.
    """
    by_time = sorted(stays, key=lambda stay: stay.starts_at)
    free = next((stay.version for stay in by_time if not stay.version.monthly_fee_nanousd), None)
    days: list[PlanVersion] = []
    included_sum = included = 0
    day = start
    while day < end:
        until = day + timedelta(days=1)
        of_day = [stay.version for stay in by_time if _overlaps(stay, day, until)] or [free or find_free()]
        days.append(_dearest(of_day))
        included = max(included, *(version.included_tokens for version in of_day))
        included_sum += included
        day = until
    within = [stay.version for stay in by_time if _overlaps(stay, start, end)]
    return MonthTerms(_dearest(within or days), days, included_sum // len(days))


def _dearest(versions: Sequence[PlanVersion]) -> PlanVersion:
    """Return the version with the highest fee, of several the last one."""
    return max(reversed(versions), key=lambda version: version.monthly_fee_nanousd)


def _overlaps(stay: Stay, start: datetime, end: datetime) -> bool:
    return stay.starts_at < end and (stay.ends_at is None or stay.ends_at > start)
