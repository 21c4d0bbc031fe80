"""Terms and privacy: texts that hold for this software, with the names of who runs this site."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from operations import retention

NEEDED = ("OPERATOR_NAME", "OPERATOR_ADDRESS", "OPERATOR_EMAIL")


def missing_settings() -> list[str]:
    """Return the settings that an operator has not filled in yet."""
    return [name for name in NEEDED if not getattr(settings, name)]


def legal_links(request: HttpRequest) -> dict[str, bool]:
    """Tell every template whether there are terms and a privacy notice to link to."""
    return {"has_legal_pages": not missing_settings()}


@require_GET
def show_terms(request: HttpRequest) -> HttpResponse:
    """Show the terms of use."""
    return _legal_page(request, "terms.html")


@require_GET
def show_privacy(request: HttpRequest) -> HttpResponse:
    """Show the privacy notice."""
    return _legal_page(request, "privacy.html")


def _legal_page(request: HttpRequest, template: str) -> HttpResponse:
    """Show a page, or what is missing: to operators. For others there is no page while it is unfinished."""
    missing = missing_settings()
    if missing and not request.user.is_staff:
        raise Http404
    context = {
        "missing": missing,
        "operator_name": settings.OPERATOR_NAME,
        "operator_address": settings.OPERATOR_ADDRESS,
        "operator_email": settings.OPERATOR_EMAIL,
        "operator_law": settings.OPERATOR_LAW,
        "is_watermarked": settings.WATERMARK != "off" and bool(settings.WATERMARK_KEYS),
        "is_demo": settings.MAILBOX,  # only a demo shows its mail
        "refused_kept_days": retention.days_kept("RefusedRequest"),
        "audit_kept_days": settings.AUDIT_KEPT_DAYS,
        "usage_kept_months": settings.USAGE_EVENTS_KEPT_MONTHS,
    }
    return render(request, template, context)
