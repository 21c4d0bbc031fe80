"""Filters and tags of every page: TEMPLATES names them, so that no template loads them."""

from datetime import date
from functools import lru_cache
from hashlib import blake2b

from django import template
from django.conf import settings
from django.template import RequestContext
from django.template.loader import render_to_string
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from lucide.templatetags import lucide as original

from core import grammar, months
from core.grammar import mark_code
from core.money import COLUMN_DECIMALS, usd_about, usd_at_a_glance, usd_element, usd_rounded
from website.palette import Link, list_groups

register = template.Library()


# Amounts of money on pages: rounded, with the exact one on hover.


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


# Lucide's icons. Its own tag copies and writes an icon's XML each time: a sixth of a page's time.

MAX_ICONS = 1000  # of a name, a size and attributes


@register.simple_tag
@lru_cache(MAX_ICONS)
def lucide(name: str, *, size: int = 24, **attributes: str) -> str:
    """Return an icon as SVG."""
    return original.lucide(name, size=size, **attributes)


# Marks that tell styles, people and workspaces apart at a glance. The same name always has the same one.

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


# The main navigation in templates.


@register.simple_tag(takes_context=True)
def navigation_groups(context: RequestContext) -> list[tuple[Promise, list[Link]]]:
    """Return the groups of the navigation that the visitor of this page may open."""
    match = context["request"].resolver_match
    return list_groups(match.view_name if match else "", context["may"])


# What other sites show of a link to a page: addresses that hold outside of this site.


@register.filter
def on_site(path: str) -> str:
    """Return a path as an absolute address."""
    return f"{settings.SITE_URL}{path}"


# Whom people ask about money and problems: SUPPORT_EMAIL, which a site may lack.


@register.simple_tag
def support_email() -> str:
    """Return the address of support, or "" where the site has none."""
    return str(settings.SUPPORT_EMAIL)


@register.simple_tag
def support_sentence() -> SafeString | str:
    """Return a sentence with a link to support, or "" where the site has none."""
    if not settings.SUPPORT_EMAIL:
        return ""
    link = format_html('<a href="mailto:{0}">{0}</a>', settings.SUPPORT_EMAIL)
    return format_html(gettext("Questions? Contact {address}."), address=link)


# Labels and code within a sentence, percentages and changes.

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


# Times within a sentence: `{% include "_time.html" %}` would cut the sentence in two for translators.


@register.filter
def as_time(at: date | None, show: str = "full") -> SafeString:
    """Return the element that `_time.html` makes of a time; `show` is "full" or "day"."""
    return render_to_string("_time.html", {"at": at, "show": show})


@register.filter
def as_month(period: str) -> str:
    """Return the words for a month such as "2026-11"."""
    return months.in_words(period)
