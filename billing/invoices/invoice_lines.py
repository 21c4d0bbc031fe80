"""The lines of an invoice: pure arithmetic in nano-USD. Previews and invoices come from here alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_noop as _

from core.messages import Facts, Message, MessageCode, group_numbers
from core.money import NANO, usd
from metering.credits import Burn, Credit, burn_credits
from metering.models import InvoiceLine
from metering.plans import FeeShare
from metering.price_book import payable_nanousd

CENT = NANO // 100

Kind = InvoiceLine.Kind


class LineText(MessageCode):
    """What an invoice's lines say. Their English is frozen with the invoice."""

    ROUNDING = _("Rounding to whole cents")
    KEPT = _("Carried over as credits")
    FEE = _("{plan}, monthly fee")
    FEE_OF_DAYS = _("{plan}, {days} of {month_days} days of the monthly fee of {fee}")
    HOSTING = _("Hosting of {count} private styles")
    HOSTING_OF_ONE = _("Hosting of {count} private style")
    USAGE = _("{style}, {meter} tokens")
    USAGE_OF_ALL = _("{style}, tokens")
    TRAININGS = _("Training of styles")
    INCLUDED = _("Included in {plan}: {covered} of {tokens} tokens")
    CREDITS = _("Credits: {name}")

    def show_facts(self, facts: Facts) -> dict[str, str]:
        """Return facts as texts."""
        return group_numbers(facts)


class Meter(MessageCode):
    """What is metered, within a line."""

    INPUT = _("input")
    CACHED_INPUT = _("cached input")
    OUTPUT = _("output")


@dataclass(frozen=True)
class Metered:
    """Tokens of one style: in an invoice of one meter at one price, with their ledger entries.

    In a preview of all meters together.
    """

    style_name: str
    tokens: int
    cost_nanousd: int
    meter: str = ""  # "input" (what was not cached), "cached input" or "output"
    unit_nanousd: int | None = None
    first_entry: int | None = None
    last_entry: int | None = None


@dataclass(frozen=True)
class Adjustment:
    """What an operator added to the ledger by hand, with the reason that the customer reads."""

    entry: int
    reason: str
    amount_nanousd: int


@dataclass(frozen=True)
class Allowance:
    """A month's plan and its included tokens, beside all that the month used."""

    plan: str
    included_tokens: int
    tokens: int
    cost_nanousd: int


@dataclass(frozen=True)
class Hosting:
    """Private styles that were hosted in the month, and what each costs."""

    styles: int
    style_month_nanousd: int


@dataclass(frozen=True)
class Trained:
    """Tokens that trainings of styles learned from, at one price, with their ledger entries."""

    tokens: int
    token_nanousd: int
    cost_nanousd: int
    first_entry: int
    last_entry: int


@dataclass(frozen=True)
class Month:
    """All that decides an invoice. `credits` are in burn order, less what earlier months take."""

    period: str
    fees: Sequence[FeeShare]
    usage: Sequence[Metered]
    allowance: Allowance
    adjustments: Sequence[Adjustment] = ()
    hosting: Hosting = Hosting(0, 0)
    trainings: Sequence[Trained] = ()
    credits: Sequence[Credit] = ()


@dataclass(frozen=True)
class Line:
    """One line, as InvoiceLine keeps it."""

    kind: str
    message: Message
    amount_nanousd: int
    style_name: str = ""
    meter: str = ""
    quantity: int = 1
    unit_nanousd: int | None = None
    first_entry: int | None = None
    last_entry: int | None = None

    @property
    def text(self) -> str:
        """The text in English, as it is frozen."""
        return self.message.in_english()[:200]

    @property
    def shown_text(self) -> str:
        """The text in the reader's language."""
        return str(self.message)


def invoice_lines(month: Month) -> list[Line]:
    """Return the lines of a month's invoice, in their order; none where there is nothing to say.

    Their sum is a whole number of cents, rounded to the nearest one, and never negative: what adjustments
    take off beyond the rest is kept as credits, which the last line says.
    """
    lines = [_fee_line(share) for share in month.fees if share.amount_nanousd]
    if month.hosting.styles and month.hosting.style_month_nanousd:
        lines.append(_hosting_line(month.hosting))
    lines += [_usage_line(usage) for usage in month.usage]
    included = _included_line(month.allowance)
    if included:
        lines.append(included)
    # After the included tokens: no plan includes trained ones.
    lines += [_training_line(trained) for trained in month.trainings if trained.cost_nanousd]
    # Before the adjustments: credits pay for usage and trainings alone.
    lines += _credit_lines(burns_of(month, lines), month)
    lines += [_adjustment_line(adjustment) for adjustment in month.adjustments]
    # Once, of the total: rounded lines would not add up to the ledger (decision 25).
    rounding = _rounding_nanousd(sum_lines(lines))
    if rounding:
        lines.append(Line(Kind.ROUNDING, LineText.ROUNDING(), rounding))
    total = sum_lines(lines)
    if total < 0:
        lines.append(Line(Kind.KEPT, LineText.KEPT(), -total))
    return lines


def burns_of(month: Month, lines: Iterable[Line]) -> list[Burn]:
    """Return what an invoice takes from credits: usage beyond the included tokens, and trainings."""
    paid_by_credits = (Kind.USAGE, Kind.INCLUDED, Kind.TRAINING)
    charge = sum(line.amount_nanousd for line in lines if line.kind in paid_by_credits)
    return burn_credits(month.credits, {month.period: charge})


def sum_lines(lines: Sequence[Line]) -> int:
    """Return the sum in nano-USD."""
    return sum(line.amount_nanousd for line in lines)


def _fee_line(share: FeeShare) -> Line:
    """Return the line of a plan's fee: whole, or for the days on which the workspace was on it."""
    plan, fee, amount = share.version.plan.name, share.version.monthly_fee_nanousd, share.amount_nanousd
    if share.days == share.month_days:
        return Line(Kind.FEE, LineText.FEE(plan=plan), amount, unit_nanousd=fee)
    days = LineText.FEE_OF_DAYS(plan=plan, days=share.days, month_days=share.month_days, fee=usd(fee))
    return Line(Kind.FEE, days, amount)


def _hosting_line(hosting: Hosting) -> Line:
    count = hosting.styles
    text = LineText.HOSTING_OF_ONE if count == 1 else LineText.HOSTING
    return Line(
        Kind.HOSTING,
        text(count=count),
        count * hosting.style_month_nanousd,
        quantity=count,
        unit_nanousd=hosting.style_month_nanousd,
    )


def _usage_line(usage: Metered) -> Line:
    text = LineText.USAGE_OF_ALL(style=usage.style_name)
    if usage.meter:
        text = LineText.USAGE(style=usage.style_name, meter=Meter.named(usage.meter))
    return Line(
        Kind.USAGE,
        text,
        usage.cost_nanousd,
        style_name=usage.style_name,
        meter=usage.meter,
        quantity=usage.tokens,
        unit_nanousd=usage.unit_nanousd,
        first_entry=usage.first_entry,
        last_entry=usage.last_entry,
    )


def _training_line(trained: Trained) -> Line:
    return Line(
        Kind.TRAINING,
        LineText.TRAININGS(),
        trained.cost_nanousd,
        quantity=trained.tokens,
        unit_nanousd=trained.token_nanousd,
        first_entry=trained.first_entry,
        last_entry=trained.last_entry,
    )


def _included_line(allowance: Allowance) -> Line | None:
    """Return what a plan's included tokens take off: their share of the tokens, of all the usage's cost.

    A share, so that it does not matter in which order requests with dear and cheap tokens came.
    """
    tokens = allowance.tokens
    covered = min(tokens, allowance.included_tokens)
    payable = payable_nanousd(allowance.cost_nanousd, tokens, allowance.included_tokens)
    amount = allowance.cost_nanousd - payable
    if not amount:
        return None
    text = LineText.INCLUDED(plan=allowance.plan, covered=covered, tokens=tokens)
    return Line(Kind.INCLUDED, text, -amount, quantity=covered)


def _credit_lines(burns: Sequence[Burn], month: Month) -> list[Line]:
    """Return a line for each grant that the invoice burns of."""
    lines = []
    for credit in month.credits:
        amount = sum(burn.amount_nanousd for burn in burns if burn.grant_id == credit.grant_id)
        if amount:
            lines.append(Line(Kind.CREDIT, LineText.CREDITS(name=credit.name), -amount))
    return lines


def _adjustment_line(adjustment: Adjustment) -> Line:
    return Line(
        Kind.ADJUSTMENT,
        Message.of(adjustment.reason),
        adjustment.amount_nanousd,
        first_entry=adjustment.entry,
        last_entry=adjustment.entry,
    )


def _rounding_nanousd(total: int) -> int:
    """Return what makes a total a whole number of cents, the nearest one; a half goes up."""
    return (total + CENT // 2) // CENT * CENT - total
