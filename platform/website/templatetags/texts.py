"""Labels within a sentence."""

from django import template

from core import grammar

register = template.Library()


@register.filter
def within_sentence(label: object) -> str:
    """Return a label as it stands within a sentence."""
    return grammar.within_sentence(str(label))
