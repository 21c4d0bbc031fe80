"""The few pages that belong to no app: home, health, errors, security.txt."""

import sys
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from psycopg_pool import PoolTimeout
from redis import RedisError

from adapters.public import list_answers, public_styles
from core.draining import STATUS, is_draining
from operations.monitoring import health

PUBLIC_PAGES = ("guides", "billing:prices", "status", "terms", "privacy")  # and what lies below them
ROOT_ICONS = {"favicon.ico": "img/favicon.ico", "apple-touch-icon.png": "img/apple-touch-icon.png"}
SECURITY_TXT_VALID = timedelta(days=180)  # RFC 9116 advises less than a year


def home(request: HttpRequest) -> HttpResponse:
    """Send members to their home; show strangers what Polyscribe is."""
    if request.user.is_authenticated:
        return redirect("member_home")
    styles = public_styles()
    context = {
        "styles": styles,
        "prompts": list_answers(styles) if styles else [],
        "api_base": f"{settings.SITE_URL}/v1",
    }
    return render(request, "home.html", context)


def security_txt(request: HttpRequest) -> HttpResponse:
    """Tell where to report a vulnerability (RFC 9116); 404 where no contact is set."""
    if not settings.SECURITY_CONTACT:
        raise Http404
    lines = []
    for contact in settings.SECURITY_CONTACT:
        uri = contact if ":" in contact else f"mailto:{contact}"
        lines.append(f"Contact: {uri}")
    lines.append(f"Expires: {timezone.now() + SECURITY_TXT_VALID:%Y-%m-%dT00:00:00Z}")
    lines.append("Preferred-Languages: en")
    lines.append(f"Canonical: {settings.SITE_URL}{request.path}")
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


def robots_txt(request: HttpRequest) -> HttpResponse:
    """Tell crawlers to read public pages only (RFC 9309: the longest match decides).

    Private pages are not listed: everything is refused but what is public.
    """
    lines = ["User-agent: *", "Allow: /$", f"Allow: /{settings.STATIC_URL.strip('/')}/"]
    lines += [f"Allow: {reverse(name)}" for name in PUBLIC_PAGES]
    lines += [f"Disallow: {reverse('guide', args=['search'])}", "Disallow: /"]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


def root_icon(request: HttpRequest) -> HttpResponse:
    """Lead browsers and phones that ask for an icon without reading a page to the file."""
    return redirect(static(ROOT_ICONS[request.path.removeprefix("/")]))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 while PostgreSQL or Valkey is not reachable (nothing is lost, try again), else 500."""
    is_unavailable = isinstance(sys.exception(), OperationalError | InterfaceError | RedisError | PoolTimeout)
    if is_unavailable:
        return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "5"})
    return HttpResponse(render_to_string("500.html"), status=500)


def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process lives, whatever is with the parts around it; 503 while it is being replaced."""
    if is_draining():
        return JsonResponse({"status": STATUS}, status=503)
    return JsonResponse({"status": "ok", "version": settings.VERSION})


def readyz(request: HttpRequest) -> JsonResponse:
    """Say of each part whether it answers; 503 where requests can't be answered without it."""
    if is_draining():
        return JsonResponse({"status": STATUS}, status=503)
    parts = health.read_parts()
    is_ready = health.is_ready(parts)
    status = "ok" if is_ready else "unavailable"
    return JsonResponse({"status": status, "parts": parts}, status=200 if is_ready else 503)
