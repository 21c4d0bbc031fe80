"""What pages need, loaded when a web process starts: addresses with their views, templates, catalogues.

The first visitor of a page does not wait for it. What is loaded by then is also left out of garbage
collections: see the lifespan of `inference.api.app`.
"""

from django.conf import settings
from django.template.loader import get_template
from django.urls import URLResolver, get_resolver
from django.utils import translation


def load_pages() -> None:
    """Load the URLconf, the site's own templates and the languages' catalogues: about a second."""
    _load_addresses(get_resolver())
    templates = settings.BASE_DIR / "templates"
    for path in templates.rglob("*.*"):
        get_template(str(path.relative_to(templates)))
    for code, _name in settings.LANGUAGES:
        with translation.override(code):
            translation.gettext("Usage")  # any message: the first one loads the catalogue


def _load_addresses(resolver: URLResolver) -> None:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            _load_addresses(entry)
