"""Labels within a sentence, and percentages."""

from django import template
from django.utils.translation import gettext

from core import grammar

register = template.Library()


@register.filter
def within_sentence(label: object) -> str:
    """Return a label as it stands within a sentence."""
    return grammar.within_sentence(str(label))


@register.filter
def percent(number: object) -> str:
    """Return a number with a percent sign, as the active language writes it."""
    return gettext("{percent}%").format(percent=number)
