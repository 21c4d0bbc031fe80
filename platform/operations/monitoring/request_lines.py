"""One line of the log for each page and each request of the management API (LOG_FORMAT=json)."""

import time
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from core import log_lines


@sync_and_async_middleware
def request_lines(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Write a line when an answer begins. It stands first, so that it sees what the client gets."""
    if iscoroutinefunction(get_response):

        async def write_line_async(request: HttpRequest) -> HttpResponseBase:
            began_s = time.perf_counter()
            response: HttpResponseBase = await get_response(request)
            _write_line(request, response, began_s)
            return response

        return write_line_async

    def write_line(request: HttpRequest) -> HttpResponseBase:
        began_s = time.perf_counter()
        response: HttpResponseBase = get_response(request)
        _write_line(request, response, began_s)
        return response

    return write_line


def _write_line(request: HttpRequest, response: HttpResponseBase, began_s: float) -> None:
    if log_lines.is_json():
        log_lines.write_line("page", _facts_of(request, response, time.perf_counter() - began_s))


def _facts_of(request: HttpRequest, response: HttpResponseBase, took_s: float) -> dict[str, object]:
    """Return what a line says: the route, never the address itself, in which tokens and names may be."""
    match = request.resolver_match
    facts: dict[str, object] = {
        "route": f"/{match.route}" if match else "",
        "method": request.method,
        "status": response.status_code,
        "total_ms": round(took_s * 1000, 1),
    }
    tenant = getattr(request, "tenant", None)
    if tenant is not None:
        facts["workspace"] = str(tenant.pk)
    # A session that nothing has read yet stays unread: its look-up is a query.
    user = getattr(request, "_cached_user", None)
    if user is not None and user.is_authenticated:
        facts["user"] = str(user.pk)
    request_id = response.headers.get("x-request-id")
    if request_id:
        facts["request_id"] = request_id
    return facts
