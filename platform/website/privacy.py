"""Keep pages of a session out of every cache, of proxies and of browsers."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

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
