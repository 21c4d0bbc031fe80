"""What the pages' scripts say in a language: our part of Django's JavaScript catalogue, cacheable."""

from collections.abc import Collection
from typing import cast

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_GET
from django.views.i18n import JavaScriptCatalog

CACHED_S = 3600  # after an update old words are said so long


class ScriptWords(JavaScriptCatalog):
    """The messages of locale/*/LC_MESSAGES/djangojs.po, without those of Django and other packages."""

    packages = ["config"]

    def get_paths(self, packages: Collection[str]) -> list[str]:
        """Return our own folders alone."""
        return [str(path) for path in settings.LOCALE_PATHS]


@require_GET
def show_words(request: HttpRequest, language: str) -> HttpResponse:
    """Return a script with the messages of one of the site's languages."""
    if language not in dict(settings.LANGUAGES):
        raise Http404
    with translation.override(language):
        response = cast(HttpResponse, ScriptWords.as_view()(request))
    response.headers["Content-Language"] = language
    patch_cache_control(response, public=True, max_age=CACHED_S)
    return response
