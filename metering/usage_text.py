"""A month's tokens in sentences: how many of the included ones are used, and what pays for further ones."""

from datetime import UTC, datetime, timedelta

from django.contrib.humanize.templatetags.humanize import intcomma, ordinal
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from core import months
from core.money import usd, usd_at_a_glance
from metering.allowance import Allowance, OveragePolicy
from metering.forms import MILLION
from metering.pricing import Prices

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
    *, used: int, allowance: Allowance, prices: Prices, credits_nanousd: int, now: datetime
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
