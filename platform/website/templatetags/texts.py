"""Labels and code within a sentence, and percentages."""

from django import template
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from core import grammar
from core.code_marks import mark_code

register = template.Library()


@register.filter
def within_sentence(label: object) -> str:
    """Return a label as it stands within a sentence."""
    return grammar.within_sentence(str(label))


@register.filter
def percent(number: object) -> str:
    """Return a number with a percent sign, as the active language writes it."""
    return gettext("{percent}%").format(percent=number)


@register.filter
def with_code(text: object) -> SafeString:
    """Return a sentence with what stands between backticks as code."""
    return mark_code(text)
