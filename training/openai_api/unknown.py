"""What any other address below /v1/files and /v1/fine_tuning answers."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import override
from django.views.decorators.csrf import csrf_exempt

from inference.public import UnknownAddress, http_errors


@csrf_exempt
def answer_unknown(request: HttpRequest) -> HttpResponse:
    """Answer 404 in OpenAI's form."""
    with override("en"):  # programs are answered in English
        status, body, _ = http_errors.error(UnknownAddress(site=settings.SITE_URL))
    headers = {"Cache-Control": "no-store"}
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)
