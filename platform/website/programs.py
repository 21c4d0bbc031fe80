"""What programs get at addresses that are not there: JSON, in the form of the API that they meant."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import override
from django.views.defaults import page_not_found

from inference.public import UnknownAddress, anthropic_messages, cors, http_errors


def is_program(request: HttpRequest) -> bool:
    """Return whether a request has a key, or is nobody's who has logged in and asks for no page."""
    if "Authorization" in request.headers:
        return True
    return "text/html" not in request.headers.get("Accept", "") and not request.user.is_authenticated


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404: with a page to people, with an error to programs.

    An editor's address often lacks `/v1`, and the editor may be a page of another origin, as Obsidian is.
    Such a page may send its request, so that it can read what is wrong.
    """
    if not is_program(request):
        return page_not_found(request, exception)
    page_headers = cors.origin_headers(request.headers.get("Origin", ""))
    if page_headers and request.method == "OPTIONS":
        requested = request.headers.get("Access-Control-Request-Headers", "")
        page_headers += cors.preflight_headers(requested, "GET, POST")
        status, body = 204, b""
    else:
        dialect = anthropic_messages if "anthropic-version" in request.headers else http_errors
        with override("en"):  # programs are answered in English
            status, body, _ = dialect.error(UnknownAddress(site=settings.SITE_URL))
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in page_headers}
    headers |= {"cache-control": "no-store", "vary": "Accept, Authorization, Cookie, Origin"}
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)
