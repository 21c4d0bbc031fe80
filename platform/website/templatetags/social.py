"""What other sites show of a link to a page: addresses that hold outside of this site."""

from django import template
from django.conf import settings

register = template.Library()


@register.filter
def on_site(path: str) -> str:
    """Return a path as an absolute address."""
    return f"{settings.SITE_URL}{path}"
