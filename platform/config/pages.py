"""The few pages that belong to no floor."""

import sys
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from psycopg_pool import PoolTimeout
from redis import RedisError

from adapters.public import public_styles
from foundation import valkey

SECURITY_TXT_HOLDS = timedelta(days=180)  # RFC 9116 advises less than a year


def home(request: HttpRequest) -> HttpResponse:
    """Send members to their styles; tell strangers what this is."""
    if request.user.is_authenticated:
        return redirect("adapters:catalogue")
    return render(request, "home.html", {"styles": public_styles(), "api_base": f"{settings.SITE_URL}/v1"})


def security_txt(request: HttpRequest) -> HttpResponse:
    """Say where to report a hole, as RFC 9116 has it; 404 where no contact is set."""
    if not settings.SECURITY_CONTACT:
        raise Http404
    contacts = [one if ":" in one else f"mailto:{one}" for one in settings.SECURITY_CONTACT]
    lines = [f"Contact: {contact}" for contact in contacts]
    lines.append(f"Expires: {timezone.now() + SECURITY_TXT_HOLDS:%Y-%m-%dT00:00:00Z}")
    lines.append("Preferred-Languages: en")
    lines.append(f"Canonical: {settings.SITE_URL}{request.path}")
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


def broken(request: HttpRequest) -> HttpResponse:
    """Tell a part that is away (503, nothing is lost, try again) from a fault of ours (500)."""
    away = isinstance(sys.exception(), OperationalError | InterfaceError | RedisError | PoolTimeout)
    page = "503.html" if away else "500.html"
    headers = {"Retry-After": "5"} if away else {}
    return HttpResponse(render_to_string(page), status=503 if away else 500, headers=headers)


def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 once PostgreSQL and Valkey answer; a load balancer asks. Errors become a 500."""
    connection.ensure_connection()
    valkey.client().ping()
    return JsonResponse({"status": "ok"})
