"""A page for people who come back, by reload or history, to an address that only takes a form."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import sync_and_async_middleware

from core.page_parts import is_part_wanted

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
