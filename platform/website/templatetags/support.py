"""Whom people ask about money and problems: SUPPORT_EMAIL, which a site may lack."""

from django import template
from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

register = template.Library()


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
