"""Every page: its language, that no cache keeps it, and what is shown at an address that only takes a form.

The language is the one that a person chose, else the one that the browser asks for.
"""

from functools import partial

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import translation
from django.utils.cache import patch_vary_headers

from core.middleware import Steps, in_steps
from core.pages import is_part_wanted

# Programs and operators read these: their words are an interface, and stay English.
ENGLISH_PATHS = ("/api/", "/v1/", "/console/", "/static/", "/metrics", "/healthz", "/readyz")


@in_steps
def choose_language(request: HttpRequest) -> Steps:
    """Answer in the reader's language. It stands after AuthenticationMiddleware, which knows the person."""
    request.LANGUAGE_CODE = yield partial(find_language, request)  # templates read it from the request
    with translation.override(request.LANGUAGE_CODE):
        response: HttpResponseBase = yield None
        # Browsers and caches learn which language an answer has, and that another may get another.
        if not request.path.startswith(ENGLISH_PATHS):
            response.headers.setdefault("Content-Language", translation.get_language())
            patch_vary_headers(response, ["Accept-Language"])
    return response


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


# Keep pages of a session out of every cache, of proxies and of browsers.

PRIVATE_PATHS = ("/accounts/", "/mailbox/", "/console/")


@in_steps
def private_pages(request: HttpRequest) -> Steps:
    """Send `no-store` with every page of a session or of accounts, unless a view chose otherwise."""
    response: HttpResponseBase = yield None
    has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
    starts_session = settings.SESSION_COOKIE_NAME in response.cookies
    if has_session or starts_session or request.path.startswith(PRIVATE_PATHS):
        response.headers.setdefault("Cache-Control", "no-store")
    return response


# A page for people who come back, by reload or history, to an address that only takes a form.

METHOD_NOT_ALLOWED = 405
PROGRAMS = ("/api/", "/v1/")


@in_steps
def explain_wrong_method(request: HttpRequest) -> Steps:
    """Give a GET of an address that takes only POST our own page instead of the browser's."""
    response: HttpResponseBase = yield None
    if not _is_persons(request, response):
        return response
    # The page's context may query.
    page: HttpResponseBase = yield partial(render, request, "405.html", status=METHOD_NOT_ALLOWED)
    page.headers["Allow"] = response.headers.get("Allow", "POST")
    return page


def _is_persons(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Return whether a person's browser asked for a page, and not a program or a part of a page."""
    is_refused = response.status_code == METHOD_NOT_ALLOWED and request.method == "GET"
    is_page = "text/html" in request.headers.get("Accept", "") and not is_part_wanted(request)
    return is_refused and is_page and not request.path.startswith(PROGRAMS)
