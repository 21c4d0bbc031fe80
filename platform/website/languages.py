"""In which language a page is: the one that a person chose, else the one that the browser asks for."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware

# Programs and operators read these: their words are an interface, and stay English.
ENGLISH_PATHS = ("/api/", "/v1/", "/console/", "/static/", "/metrics", "/healthz", "/readyz")


@sync_and_async_middleware
def choose_language(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answer in the reader's language. It stands after AuthenticationMiddleware, which knows the person."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            language = await sync_to_async(find_language, thread_sensitive=True)(request)
            with _speaking(request, language):
                return _name_language(request, await get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        with _speaking(request, find_language(request)):
            return _name_language(request, get_response(request))

    return answer


def find_language(request: HttpRequest) -> str:
    """Return the code of the language that a request is answered in."""
    if request.path.startswith(ENGLISH_PATHS):
        return settings.LANGUAGE_CODE
    return _chosen(request) or translation.get_language_from_request(request)


def _chosen(request: HttpRequest) -> str:
    """Return the language that the person chose in the settings, or ""."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return ""
    chosen = str(getattr(request.user, "language", ""))
    return chosen if chosen in dict(settings.LANGUAGES) else ""


def _speaking(request: HttpRequest, language: str) -> AbstractContextManager[Any]:
    """Return a context in which all texts are in a language; templates read it from the request."""
    request.LANGUAGE_CODE = language
    return translation.override(language)


def _name_language(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Tell browsers and caches which language an answer has, and that another may get another."""
    if not request.path.startswith(ENGLISH_PATHS):
        response.headers.setdefault("Content-Language", translation.get_language())
        patch_vary_headers(response, ["Accept-Language"])
    return response
