"""What was shown to somebody who is logged in stays in no cache, of no proxy and no browser."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

PRIVATE = ("/accounts/", "/mailbox/", "/console/")


@sync_and_async_middleware
def private_pages(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Send `no-store` with every page of a session or of accounts, unless a view chose otherwise."""
    if iscoroutinefunction(get_response):

        async def marked_async(request: HttpRequest) -> HttpResponseBase:
            return _marked(request, await get_response(request))

        return marked_async

    def marked(request: HttpRequest) -> HttpResponseBase:
        return _marked(request, get_response(request))

    return marked


def _marked(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
    starts_one = settings.SESSION_COOKIE_NAME in response.cookies
    if has_session or starts_one or request.path.startswith(PRIVATE):
        response.headers.setdefault("Cache-Control", "no-store")
    return response
