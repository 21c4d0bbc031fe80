"""Labels and code within a sentence, percentages and changes."""

from django import template
from django.utils.formats import number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from core import grammar
from core.code_marks import mark_code

register = template.Library()

MANY_PERCENT = 900  # more than that is read more easily as a multiple


@register.filter
def within_sentence(label: object) -> str:
    """Return a label as it stands within a sentence."""
    return grammar.within_sentence(str(label))


@register.filter
def percent(number: object) -> str:
    """Return a number with a percent sign, as the active language writes it."""
    return gettext("{percent}%").format(percent=number)


@register.filter
def change(percents: float) -> str:
    """Return a change in whole percent with its sign, `+12%`, or as a multiple."""
    rounded = round(percents)
    if rounded >= MANY_PERCENT:
        return f"\N{MULTIPLICATION SIGN}{number_format(round(1 + percents / 100), force_grouping=True)}"
    sign = "+" if rounded > 0 else "\N{MINUS SIGN}" if rounded < 0 else "\N{PLUS-MINUS SIGN}"
    return sign + percent(number_format(abs(rounded), force_grouping=True))


@register.filter
def with_code(text: object) -> SafeString:
    """Return a sentence with what stands between backticks as code."""
    return mark_code(text)
