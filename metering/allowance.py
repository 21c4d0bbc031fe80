"""What a month's tokens count to, and the sentences that say so.

First the included tokens, then what pays for further ones, up to the cap.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.contrib.humanize.templatetags.humanize import intcomma, ordinal
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from core import months
from core.money import usd, usd_at_a_glance
from metering import plans
from metering.forms import MILLION
from metering.models import PlanVersion, TokenPrices
from metering.plans import MonthTerms, month_terms
from tenants.models import Tenant


class OveragePolicy(StrEnum):
    """What happens to tokens beyond those that a plan includes."""

    REFUSED = "refused"
    CREDITS = "credits"  # they pay, or the request is refused
    OVERAGE = "overage"  # credits pay first, the rest is owed


@dataclass(frozen=True)
class Allowance:
    """What a workspace may use in a month.

    The included tokens are those of the month's plans by day, as on its invoice. The cap is that of the plan
    on which it is now.
    """

    included_tokens: int
    max_tokens: int
    is_overage_allowed: bool

    @property
    def overage(self) -> OveragePolicy:
        """What happens to tokens beyond the included ones."""
        if self.included_tokens >= self.max_tokens:
            return OveragePolicy.REFUSED
        return OveragePolicy.OVERAGE if self.is_overage_allowed else OveragePolicy.CREDITS

    @property
    def meter_tokens(self) -> int:
        """What a meter of the month counts to: the included tokens, or the cap where they are all or none."""
        return min(self.included_tokens, self.max_tokens) or self.max_tokens

    @property
    def counts_included(self) -> bool:
        """Whether the meter ends before the cap."""
        return self.meter_tokens < self.max_tokens


@dataclass(frozen=True)
class MonthLimits:
    """What a workspace may use in a month, and what it may spend (None: no budget)."""

    allowance: Allowance
    budget_nanousd: int | None


def allowance_of(tenant: Tenant, at: datetime) -> Allowance:
    """Return what a workspace may use in the month that holds a moment."""
    present, terms = plans.month_versions(tenant, at)
    return make_allowance(present, terms)


def make_allowance(present: PlanVersion, terms: MonthTerms) -> Allowance:
    """Return the same where the plan version and the month's terms are known."""
    return Allowance(terms.included_tokens, present.monthly_tokens, present.overage_allowed)


def month_limits(tenant_ids: Iterable[UUID], at: datetime) -> dict[UUID, MonthLimits]:
    """Return tenant → what it may use in the month that holds a moment; two queries for any number."""
    tenant_ids = list(tenant_ids)
    start, end = months.bounds(months.period_of(at))
    find_free = plans.free_finder()
    stays = plans.stays_by_tenant(tenant_ids, start, end)
    limits = {}
    budgets = Tenant.objects.filter(pk__in=tenant_ids).values_list("pk", "monthly_nanousd")
    for tenant_id, own_budget in budgets:
        version = plans.version_at(stays.get(tenant_id, ()), find_free, at)
        amounts = [amount for amount in (version.monthly_nanousd, own_budget) if amount is not None]
        terms = month_terms(stays.get(tenant_id, ()), find_free, start, end)
        limits[tenant_id] = MonthLimits(make_allowance(version, terms), min(amounts, default=None))
    return limits


FIRST_DAYS = timedelta(days=1)  # too early for a pace


def usage_sentence(*, used: int, allowance: Allowance, now: datetime) -> str:
    """Return how much of a month's tokens is used, and when they end at this pace."""
    start, end = months.bounds(months.period_of(now))
    meter = allowance.meter_tokens
    facts = {
        "month": date_format(start, "F"),
        "tokens": gettext("included tokens") if allowance.counts_included else gettext("tokens"),
        "meter": intcomma(meter),
    }
    if used >= allowance.max_tokens:
        facts |= {"count": intcomma(allowance.max_tokens), "day": date_format(end, gettext("j F"))}
        sentence = gettext("You've used all {count} tokens for {month}. Your tokens reset on {day}.")
    elif used > meter:
        facts["more"] = intcomma(used - meter)
        sentence = gettext("You've used all {meter} {tokens} for {month}, and {more} more.")
    elif used == meter:
        sentence = gettext("You've used all {meter} {tokens} for {month}.")
    elif not used:
        sentence = gettext("You haven't used any of your {meter} {tokens} for {month} yet.")
    else:
        percent = 100 * used // meter
        facts["share"] = gettext("{percent}%").format(percent=percent) if percent else gettext("less than 1%")
        elapsed = now - start
        if elapsed < FIRST_DAYS:
            sentence = gettext("You've used {share} of {month}'s {tokens}.")
        elif meter / used >= (end - start) / elapsed:
            sentence = gettext("You've used {share} of {month}'s {tokens}. They should last the month.")
        else:
            reached = start + elapsed * (meter / used)
            facts["day"] = str(ordinal(reached.astimezone(UTC).day))
            sentence = gettext(
                "You've used {share} of {month}'s {tokens}. At this rate you'll reach the cap on the {day}."
            )
            if allowance.counts_included:
                sentence = gettext(
                    "You've used {share} of {month}'s {tokens}. At this rate they'll run out on the {day}."
                )
    return sentence.format(**facts)


def describe_overage(
    *, used: int, allowance: Allowance, prices: TokenPrices, credits_nanousd: int, now: datetime
) -> SafeString:
    """Return what becomes of tokens beyond the included ones: refused, on the invoice, or from credits."""
    _, end = months.bounds(months.period_of(now))
    facts = {
        "begins": date_format(end, gettext("j F")),
        "read": usd(MILLION * prices.input_nanousd),
        "written": usd(MILLION * prices.output_nanousd),
        "max_tokens": intcomma(allowance.max_tokens),
        "credits": usd_at_a_glance(credits_nanousd),
    }
    if used >= allowance.max_tokens:
        sentence = gettext("Requests are refused until {begins}. A larger plan takes effect immediately.")
        return format_html(sentence, **facts)
    if allowance.overage == OveragePolicy.REFUSED:
        sentence = gettext("When they run out, requests are refused until {begins}.")
        return format_html(sentence, **facts)
    price = gettext("{read} per million input tokens and {written} per million output tokens")
    facts["price"] = format_html(price, **facts)
    facts["most"] = gettext("up to {max_tokens} tokens this month").format(**facts)
    if allowance.overage == OveragePolicy.OVERAGE:
        if credits_nanousd:
            sentence = gettext(
                "Additional tokens cost {price}. Your {credits} in credits are used first; the rest is "
                "added to your invoice, {most}."
            )
        else:
            sentence = gettext("Additional tokens cost {price} and are added to your invoice, {most}.")
    elif credits_nanousd:
        sentence = gettext("Additional tokens cost {price}, paid from your {credits} in credits, {most}.")
    elif used >= allowance.included_tokens:
        sentence = gettext(
            "You have no credits left, so requests are refused until {begins}. With credits, additional "
            "tokens cost {price}, {most}."
        )
    else:
        sentence = gettext(
            "When they run out, requests are refused unless you have credits. Additional tokens cost "
            "{price}, {most}."
        )
    return format_html(sentence, **facts)
