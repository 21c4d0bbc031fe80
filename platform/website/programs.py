"""What programs get at addresses that are not there: JSON, in the form of the API that they meant."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import override
from django.views.defaults import page_not_found

from inference.public import UnknownAddress, anthropic_messages, http_errors


def is_program(request: HttpRequest) -> bool:
    """Return whether a request has a key, or is nobody's who has logged in and asks for no page."""
    if "Authorization" in request.headers:
        return True
    return "text/html" not in request.headers.get("Accept", "") and not request.user.is_authenticated


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404: with a page to people, with an error to programs."""
    if not is_program(request):
        return page_not_found(request, exception)
    dialect = anthropic_messages if "anthropic-version" in request.headers else http_errors
    with override("en"):  # programs are answered in English
        status, body, _ = dialect.error(UnknownAddress(site=settings.SITE_URL))
    headers = {"Cache-Control": "no-store", "Vary": "Accept, Authorization, Cookie"}
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)
