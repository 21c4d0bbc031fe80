"""Middleware that answers instead of a page, written once for threads and for the event loop."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

type Guard = Callable[[HttpRequest], HttpResponseBase | None]


def guarded_by(guard: Guard) -> Callable[[Callable[[HttpRequest], Any]], Callable[[HttpRequest], Any]]:
    """Return middleware that asks a guard about each request of a session, and answers with what it returns.

    The guard may use the database. Visitors have no session, and a thread costs time: they pass.
    """

    @sync_and_async_middleware
    def middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
        if iscoroutinefunction(get_response):

            async def answer_async(request: HttpRequest) -> HttpResponseBase:
                has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
                answer = await sync_to_async(guard, thread_sensitive=True)(request) if has_session else None
                return answer or await get_response(request)

            return answer_async

        def answer(request: HttpRequest) -> HttpResponseBase:
            has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
            response: HttpResponseBase = (guard(request) if has_session else None) or get_response(request)
            return response

        return answer

    return middleware
