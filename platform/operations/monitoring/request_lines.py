"""One line of the log for each page and each request of the management API (LOG_FORMAT=json)."""

import time

from django.http import HttpRequest, HttpResponseBase

from core import log_lines
from core.middleware import Steps, in_steps


@in_steps
def request_lines(request: HttpRequest) -> Steps:
    """Write a line when an answer begins. It stands first, so that it sees what the client gets."""
    began_s = time.perf_counter()
    response: HttpResponseBase = yield None
    if log_lines.is_json():
        log_lines.write_line("page", _facts_of(request, response, time.perf_counter() - began_s))
    return response


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
