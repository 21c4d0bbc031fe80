"""The fields `wallet` and `credits` of a workspace's limits in Valkey: included tokens, and what is left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from core import months
from metering import plans
from metering.credits import MAX_CREDIT_NANOUSD, Credit, open_charges, open_credits, settle_charges
from metering.models import Invoice, PlanVersion
from metering.price_book import payable_nanousd
from metering.trainings import TrainingCosts, read_costs
from metering.unpaid import owed_before_nanousd, unpaid_cap_nanousd
from tenants.models import Tenant

type Entry = tuple[int, str]  # nano-USD, and the months that it pays
BOTH, PREVIOUS, CURRENT, UNPAID = "b", "p", "c", "u"


@dataclass(frozen=True)
class MonthCount:
    """What a month's requests have used at most: tokens, and their cost in nano-USD."""

    tokens: int
    nanousd: int


def credit_fields(tenant: Tenant, version: PlanVersion, at: datetime) -> dict[str, str]:
    """Return the fields `wallet` and `credits` of a workspace, at a moment of Valkey's clock.

    The wallet is this month and the one before, the tokens included in each, and what was left of the grants
    before these two months, in burn order: `2026-11 2026-10 500000 500000 1000000:b 5000000:c`. An amount
    pays this month (c), the one before (p) or both (b). Requests of both may be open, so the script lets the
    month before burn first, by its account. Invoices that are final are not taken off here, for the account
    has what they burned. Trainings are, for no account counts them: what both months were charged, and what
    is held.

    `credits` is the wallet where credits bound what the workspace may use, else empty: admission reads no
    more then. Where a cap bounds what may be unpaid, that comes last, as an amount that is lent (u) and pays
    both months.
    """
    period = months.period_of(at)
    previous = months.before(period)
    included_tokens = _included_tokens(tenant, period)
    head = f"{period} {previous} {included_tokens} {_included_tokens(tenant, previous)}"
    costs = read_costs(tenant.pk, previous, period)
    trained = costs.in_month(period)
    unpaid_cap = unpaid_cap_nanousd(tenant, version)
    entries = _entries(tenant, previous, period, costs, unpaid_cap)
    grants = [entry for entry in entries if entry[1] != UNPAID]
    wallet = head + _write_entries(take_off(grants, trained))
    if unpaid_cap is not None:
        return {"wallet": wallet, "credits": head + _write_entries(take_off(entries, trained))}
    # Usage beyond the included tokens is refused without credits. It is not with overage, or where the cap
    # lies within the included tokens, of this month and of the plan itself. A dearer plan earlier in the
    # month includes more, but not in the next month, and the field may be read beyond the month's end.
    least_included = min(included_tokens, version.included_tokens)
    is_bounded = not version.overage_allowed and least_included < version.monthly_tokens
    return {"wallet": wallet, "credits": wallet if is_bounded else ""}


def credits_beside(
    tenant: Tenant, at: datetime, *, used: MonthCount, before: MonthCount, unpaid_cap: int | None = None
) -> int:
    """Return the nano-USD that this month's requests, and the month before, leave of credits for trainings.

    `used` and `before` are what the requests of the two months come to, `unpaid_cap` what may be unpaid. It
    is negative where they owe more than there is. What trainings of this month were charged, and what is
    held, is not taken off.
    """
    period = months.period_of(at)
    previous = months.before(period)
    costs = read_costs(tenant.pk, previous, previous)
    owed_before = payable_nanousd(before.nanousd, before.tokens, _included_tokens(tenant, previous))
    left = 0
    for amount, covered in _entries(tenant, previous, period, costs, unpaid_cap):
        burned = 0 if covered == CURRENT else min(owed_before, amount)
        owed_before -= burned
        if covered != PREVIOUS:
            left += amount - burned
    return left - payable_nanousd(used.nanousd, used.tokens, _included_tokens(tenant, period))


def _entries(
    tenant: Tenant, previous: str, period: str, costs: TrainingCosts, unpaid_cap: int | None
) -> list[Entry]:
    """Return what the grants have for two months, less the trainings of the earlier one; then what is lent.

    Of that, older months' invoices that nobody paid are taken off.
    """
    credits = open_credits(tenant.pk, before=previous)
    credits = settle_charges(credits, open_charges(tenant, credits, until=months.before(previous)))
    # A void invoice gave its burns back: that month burns nothing.
    is_void = Invoice.objects.filter(tenant=tenant, period=previous, state=Invoice.State.VOID).exists()
    trained_before = 0 if is_void else costs.charged_nanousd.get(previous, 0)
    # Trainings of the month before burn of the same grants as its usage, whose part the script takes off.
    settled = settle_charges(credits, {previous: trained_before})
    uncovered = trained_before - (_left_of(credits) - _left_of(settled))
    credits = settled
    entries = []
    for credit in credits:
        pays_now = credit.covers(period)
        paid_before = credit.covers(previous) and not is_void
        if pays_now or paid_before:
            covered = BOTH if pays_now and paid_before else CURRENT if pays_now else PREVIOUS
            entries.append((credit.left_nanousd, covered))
    if unpaid_cap is not None:
        lent = unpaid_cap - owed_before_nanousd(tenant, previous) - uncovered
        entries.append((max(0, lent), UNPAID))
    return entries


def _left_of(credits: Iterable[Credit]) -> int:
    return sum(credit.left_nanousd for credit in credits)


def take_off(entries: Sequence[Entry], nanousd: int) -> list[Entry]:
    """Return entries less what this month's trainings take, so that the script still finds the true rest.

    The month before burns first, and only the script knows how much. So it must find its amounts where they
    are: this month's own are taken first, then the last ones of both months. That leaves what would be left
    if trainings burned after the month before, whatever that burns, and 0 where they would find too little.
    In burn order, what the month before owes would find less than there was, and its rest would be forgotten.
    """
    left = [amount for amount, _ in entries]
    own = [at for at, (_, covered) in enumerate(entries) if covered == CURRENT]
    both = [at for at, (_, covered) in enumerate(entries) if covered in (BOTH, UNPAID)]
    for at in [*own, *reversed(both)]:
        taken = min(left[at], nanousd)
        left[at] -= taken
        nanousd -= taken
    return [(amount, covered) for amount, (_, covered) in zip(left, entries, strict=True)]


def _write_entries(entries: Iterable[Entry]) -> str:
    """Return entries as text, neighbours of the same months as one: they burn one after the other anyway."""
    merged: list[Entry] = []
    for amount, covered in entries:
        before = merged.pop()[0] if merged and merged[-1][1] == covered else 0
        merged.append((min(before + amount, MAX_CREDIT_NANOUSD), covered))
    return "".join(f" {amount}:{covered}" for amount, covered in merged)


def _included_tokens(tenant: Tenant, period: str) -> int:
    """Return the tokens that a month includes: those of its plans by day, as on its invoice."""
    return plans.terms_of(tenant, period).included_tokens
