"""Amounts of money on pages: rounded, with the exact one on hover."""

from django import template
from django.utils.safestring import SafeString

from core.money import COLUMN_DECIMALS, usd_about, usd_at_a_glance, usd_element, usd_rounded

register = template.Library()


@register.filter
def amount_in_column(nanousd: int) -> SafeString:
    """Return an amount for a column of a table, with as many decimals as all others of it."""
    return usd_element(nanousd, usd_rounded(nanousd, COLUMN_DECIMALS))


@register.filter
def amount_at_a_glance(nanousd: int) -> SafeString:
    """Return an amount in cents, or that it is less than one."""
    return usd_at_a_glance(nanousd)


@register.filter
def amount_in_cents(nanousd: int) -> str:
    """Return an amount as `amount_at_a_glance` shows it, for a text without markup."""
    return usd_about(nanousd)
