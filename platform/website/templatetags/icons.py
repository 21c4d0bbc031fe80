"""Lucide's icons. Its own tag copies and writes an icon's XML each time: a sixth of a page's time."""

from functools import lru_cache

from django import template
from lucide.templatetags import lucide as original

register = template.Library()
MAX_ICONS = 1000  # of a name, a size and attributes


@register.simple_tag
@lru_cache(MAX_ICONS)
def lucide(name: str, *, size: int = 24, **attributes: str) -> str:
    """Return an icon as SVG."""
    return original.lucide(name, size=size, **attributes)
