"""A month's tokens in sentences: how many of the included ones are used, and what pays for further ones."""

from datetime import UTC, datetime, timedelta

from django.contrib.humanize.templatetags.humanize import intcomma, ordinal

from foundation import months
from foundation.money import usd
from tenants.billing.allowance import Allowance, Beyond
from tenants.billing.forms import MILLION
from tenants.billing.pricing import Prices

REFUSED_LATER = "Without credits, requests are refused then"
FIRST_DAYS = timedelta(days=1)  # too early for a pace


def usage_sentence(*, used: int, allowance: Allowance, now: datetime) -> str:
    """Return how much of a month's tokens is used, and when they end at this pace."""
    start, end = months.bounds(months.period_of(now))
    name = f"{start:%B}"
    meter = allowance.meter_tokens
    tokens = "included tokens" if allowance.counts_included else "tokens"
    if used >= allowance.max_tokens:
        return (
            f"All of {name}'s {intcomma(allowance.max_tokens)} tokens are used; new ones come on 1 {end:%B}."
        )
    if used >= meter:
        more = f", and {intcomma(used - meter)} more" if used > meter else ""
        return f"All of {name}'s {intcomma(meter)} {tokens} are used{more}."
    if not used:
        return f"None of {name}'s {intcomma(meter)} {tokens} are used yet."
    percent = 100 * used // meter
    share = f"{percent} %" if percent else "less than 1 %"
    so_far = f"You have used {share} of {name}'s {tokens}"
    elapsed = now - start
    if elapsed < FIRST_DAYS:
        return f"{so_far}."
    if meter / used >= (end - start) / elapsed:
        return f"{so_far}; at this pace they last the month."
    reached = start + elapsed * (meter / used)
    day = ordinal(reached.astimezone(UTC).day)
    end_of_them = "they are used up on" if allowance.counts_included else "the cap comes on"
    return f"{so_far}; at this pace {end_of_them} the {day}."


def beyond_sentence(
    *, used: int, allowance: Allowance, prices: Prices, credits_nanousd: int, now: datetime
) -> str:
    """Return what pays for tokens beyond the included ones, or why there are none."""
    _, end = months.bounds(months.period_of(now))
    begins = f"1 {end:%B}"
    if used >= allowance.max_tokens:
        return f"Requests are refused until {begins}; a plan with more tokens lets them through at once."
    if allowance.beyond == Beyond.REFUSED:
        return f"The plan has no further ones: requests are refused then, until {begins}."
    price = (
        f"{usd(MILLION * prices.input_nanousd)} a million tokens read and "
        f"{usd(MILLION * prices.output_nanousd)} a million written"
    )
    most = f"at most {intcomma(allowance.max_tokens)} tokens this month"
    credits = f"{usd(credits_nanousd)} of credits"
    if allowance.beyond == Beyond.OVERAGE:
        paid = f"your {credits} pay first, the rest comes" if credits_nanousd else "they come"
        return f"Further ones cost {price}: {paid} onto the invoice, {most}."
    if credits_nanousd:
        return f"Further ones cost {price}, paid from your {credits}; {most}."
    is_used_up = used >= allowance.included_tokens
    refused = f"No credits are left: requests are refused until {begins}" if is_used_up else REFUSED_LATER
    return f"{refused}. With credits further ones cost {price}; {most}."
