"""Words in the reader's language: of stored sentences, and of labels within one."""

from django import template

from core import grammar
from core.stored_texts import translate_stored

register = template.Library()


@register.filter
def translated(text: object) -> str:
    """Return a sentence that a worker stored in English, in the language of the page."""
    return translate_stored(str(text)) if text else ""


@register.filter
def within_sentence(label: object) -> str:
    """Return a label as it stands within a sentence."""
    return grammar.within_sentence(str(label))
