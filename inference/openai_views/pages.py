"""Pages of allowed origins may ask what Django answers, as they ask the gateway (inference/api/cors.py)."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from inference.api import cors


def answer_page(
    request: HttpRequest, answer: Callable[[], HttpResponseBase], *, methods: str
) -> HttpResponseBase:
    """Return an answer that a page of an allowed origin can read; to its preflight, what it may send."""
    headers = cors.origin_headers(request.headers.get("Origin", ""))
    response: HttpResponseBase
    if headers and request.method == "OPTIONS":
        requested = request.headers.get("Access-Control-Request-Headers", "")
        headers += cors.preflight_headers(requested, methods)
        response = HttpResponse(status=204)
    else:
        response = answer()
    for name, value in headers:
        if name != b"vary":
            response[name.decode()] = value.decode("latin-1")
    patch_vary_headers(response, ["Origin"])
    return response
