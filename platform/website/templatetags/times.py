"""Times within a sentence: `{% include "_time.html" %}` would cut the sentence in two for translators."""

from datetime import date

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from core import months

register = template.Library()


@register.filter
def as_time(at: date | None, show: str = "full") -> SafeString:
    """Return the element that `_time.html` makes of a time; `show` is "full" or "day"."""
    return render_to_string("_time.html", {"at": at, "show": show})


@register.filter
def as_month(period: str) -> str:
    """Return the words for a month such as "2026-11"."""
    return months.in_words(period)
