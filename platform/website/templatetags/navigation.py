"""The main navigation in templates."""

from django import template
from django.template import RequestContext
from django.utils.functional import Promise

from website.navigation import Link, list_groups

register = template.Library()


@register.simple_tag(takes_context=True)
def navigation_groups(context: RequestContext) -> list[tuple[Promise, list[Link]]]:
    """Return the groups of the navigation that the visitor of this page may open."""
    match = context["request"].resolver_match
    return list_groups(match.view_name if match else "", context["may"])
