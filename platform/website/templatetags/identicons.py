"""Marks that tell styles, people and workspaces apart at a glance. The same name always has the same one."""

from hashlib import blake2b

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

HUES = 8  # classes in components.css
LINES = 4
SHORTEST, LONGEST = 6, 18  # of 24


@register.simple_tag
def style_mark(seed: object, size: int = 24) -> SafeString:
    """Return a style's mark: a paragraph whose four lines are as long as the hash of `seed` says."""
    digest = _hash(seed)
    lines = format_html_join(
        "",
        '<rect x="3" y="{}" width="{}" height="2.25" rx="1.125"/>',
        ((4.5 + 4.25 * row, SHORTEST + digest[row + 1] % (LONGEST - SHORTEST + 1)) for row in range(LINES)),
    )
    return format_html(
        '<svg class="identicon" data-hue="{}" width="{}" height="{}" viewBox="0 0 24 24" aria-hidden="true">'
        '<rect class="ground" width="24" height="24" rx="5"/>{}</svg>',
        digest[0] % HUES,
        size,
        size,
        lines,
    )


@register.simple_tag
def initial_mark(name: object, *, person: bool = False) -> SafeString:
    """Return the first letter of a name on a ground of its own: round for people, square for workspaces."""
    text = str(name).strip()
    return format_html(
        '<span class="initial{}" data-hue="{}" aria-hidden="true">{}</span>',
        " initial-round" if person else "",
        _hash(text)[0] % HUES,
        text[:1].upper() or "·",
    )


def _hash(seed: object) -> bytes:
    return blake2b(str(seed).encode(), digest_size=8).digest()
