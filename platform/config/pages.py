"""The few pages that belong to no floor."""

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from adapters.public import showcase
from foundation import valkey


def home(request: HttpRequest) -> HttpResponse:
    """Send members to their styles; tell strangers what this is."""
    if request.user.is_authenticated:
        return redirect("adapters:catalogue")
    return render(request, "home.html", {"styles": showcase(), "api_base": f"{settings.SITE_URL}/v1"})


def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 once PostgreSQL and Valkey answer; a load balancer asks. Errors become a 500."""
    connection.ensure_connection()
    valkey.client().ping()
    return JsonResponse({"status": "ok"})
