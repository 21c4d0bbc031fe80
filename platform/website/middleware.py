"""In which language a page is: the one that a person chose, else the one that the browser asks for."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware

from core.pages import is_part_wanted

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


# Keep pages of a session out of every cache, of proxies and of browsers.

PRIVATE_PATHS = ("/accounts/", "/mailbox/", "/console/")


@sync_and_async_middleware
def private_pages(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Send `no-store` with every page of a session or of accounts, unless a view chose otherwise."""
    if iscoroutinefunction(get_response):

        async def forbid_caching_async(request: HttpRequest) -> HttpResponseBase:
            return _forbid_caching(request, await get_response(request))

        return forbid_caching_async

    def forbid_caching(request: HttpRequest) -> HttpResponseBase:
        return _forbid_caching(request, get_response(request))

    return forbid_caching


def _forbid_caching(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
    starts_session = settings.SESSION_COOKIE_NAME in response.cookies
    if has_session or starts_session or request.path.startswith(PRIVATE_PATHS):
        response.headers.setdefault("Cache-Control", "no-store")
    return response


# A page for people who come back, by reload or history, to an address that only takes a form.

METHOD_NOT_ALLOWED = 405
PROGRAMS = ("/api/", "/v1/")


@sync_and_async_middleware
def explain_wrong_method(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Give a GET of an address that takes only POST our own page instead of the browser's."""
    if iscoroutinefunction(get_response):

        async def explain_async(request: HttpRequest) -> HttpResponseBase:
            response: HttpResponseBase = await get_response(request)
            if _is_persons(request, response):
                return await sync_to_async(_explain, thread_sensitive=True)(request, response)
            return response

        return explain_async

    def explain(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = get_response(request)
        return _explain(request, response) if _is_persons(request, response) else response

    return explain


def _is_persons(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Return whether a person's browser asked for a page, and not a program or a part of a page."""
    is_refused = response.status_code == METHOD_NOT_ALLOWED and request.method == "GET"
    is_page = "text/html" in request.headers.get("Accept", "") and not is_part_wanted(request)
    return is_refused and is_page and not request.path.startswith(PROGRAMS)


def _explain(request: HttpRequest, refused: HttpResponseBase) -> HttpResponse:
    page = render(request, "405.html", status=METHOD_NOT_ALLOWED)
    page.headers["Allow"] = refused.headers.get("Allow", "POST")
    return page
