"""What programs get at addresses that are not there: JSON, in the form of the API that they meant."""

from functools import partial

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.translation import override
from django.views.defaults import page_not_found

from inference.public import UnknownAddress, answer_page, anthropic_messages, http_errors


def is_program(request: HttpRequest) -> bool:
    """Return whether a request has a key, or is nobody's who has logged in and asks for no page."""
    if "Authorization" in request.headers:
        return True
    return "text/html" not in request.headers.get("Accept", "") and not request.user.is_authenticated


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer 404: with a page to people, with an error to programs.

    An editor's address often lacks `/v1`, and the editor may be a page of another origin, as Obsidian is.
    Such a page may send its request, so that it can read what is wrong.
    """
    if not is_program(request):
        return page_not_found(request, exception)
    answer = answer_page(request, partial(_explain, request), methods="GET, POST")
    answer["Cache-Control"] = "no-store"
    patch_vary_headers(answer, ["Accept", "Authorization", "Cookie"])
    return answer


def _explain(request: HttpRequest) -> HttpResponse:
    """Return the error in the form of the API that the request meant."""
    dialect = anthropic_messages if "anthropic-version" in request.headers else http_errors
    with override("en"):  # programs are answered in English
        status, body, _ = dialect.error(UnknownAddress(site=settings.SITE_URL))
    return HttpResponse(body, status=status, content_type="application/json")
