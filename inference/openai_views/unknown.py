"""What any other address answers that is below the site's own of /v1."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import override
from django.views.decorators.csrf import csrf_exempt

from inference.contract import http_errors
from inference.errors import UnknownPath


@csrf_exempt
def answer_unknown(request: HttpRequest) -> HttpResponse:
    """Answer 404 in OpenAI's form."""
    with override("en"):  # programs are answered in English
        status, body, _ = http_errors.error(UnknownPath())
    headers = {"Cache-Control": "no-store"}
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)
