"""Delete a version or a whole style, and show the reports of what became of the files."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from adapters import actions
from adapters.catalog import sharing
from adapters.erasure import workflow
from adapters.erasure.report import STAYS, erasure_report
from adapters.errors import StillUsed
from adapters.models import AdapterVersion, Erasure, Style
from adapters.views.common import changes_styles, own_style, own_version
from core.pages import render_page_or_part
from tenants.access import MemberRequest, access_of, member_required
from tenants.roles import Permission, requires


@require_GET
@never_cache
@member_required
def version_erasure(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Show the report of an erasure, which the page polls; without one, the form that begins it."""
    version = own_version(request, version_id)
    erasure = Erasure.objects.select_related("version__style__owner").filter(version=version).first()
    if erasure is None:
        return _render_version_form(request, version, {})
    context = {"report": erasure_report(erasure), "version": version, "stays": STAYS}
    return render_page_or_part(request, "adapters/erasure.html", context)


@require_GET
@member_required
def download(request: MemberRequest, version_id: UUID, form: str) -> HttpResponse:
    """Return the report of an erasure as plain text or JSON."""
    erasures = Erasure.objects.select_related("version__style__owner")
    erasure = get_object_or_404(erasures, version=version_id, version__style__owner=request.tenant)
    report = erasure_report(erasure)
    if form == "json":
        response: HttpResponse = JsonResponse(report.data(), json_dumps_params={"indent": 2})
    elif form == "txt":
        response = HttpResponse(report.text(), content_type="text/plain; charset=utf-8")
    else:
        raise Http404
    name = f"erasure-{erasure.version.style.slug}-{erasure.version.number}.{form}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@changes_styles
def erase_version(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Begin to erase a version when its style's short name was typed."""
    version = own_version(request, version_id)
    errors = _name_errors(request, version.style)
    if not errors:
        try:
            actions.delete_version(access_of(request), version, at_once="at_once" in request.POST)
            return redirect("adapters:version_erasure", version.pk)
        except StillUsed as error:
            errors["at_once"] = error.message
    return _render_version_form(request, version, errors)


@require_http_methods(["GET", "POST"])
@member_required
@requires(Permission.CHANGE_STYLES, to_read=Permission.CHANGE_STYLES)
def delete_style(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Show the form that deletes a whole style; delete it when its short name was typed."""
    style = own_style(request, style_id)
    errors = _name_errors(request, style) if request.method == "POST" else {}
    if request.method == "POST" and not errors:
        try:
            actions.delete_style(access_of(request), style, at_once="at_once" in request.POST)
            messages.success(
                request, gettext("{style} was deleted. Its files are being erased.").format(style=style.name)
            )
            return redirect("adapters:deleted")
        except StillUsed as error:
            errors["at_once"] = error.message
    context = {"losers": sharing.audience(style), "count": style.versions.count(), "errors": errors}
    return _render_form(request, style, reverse("adapters:delete_style", args=[style.pk]), context)


@require_GET
@member_required
def deleted(request: MemberRequest) -> HttpResponse:
    """List the deleted versions, with how far each erasure is."""
    erasures = Erasure.objects.filter(version__style__owner=request.tenant)
    shown = erasures.select_related("version__style__owner").order_by("-requested_at")[:200]
    return render(request, "adapters/deleted.html", {"erasures": list(shown)})


def _name_errors(request: MemberRequest, style: Style) -> dict[str, str]:
    if request.POST.get("confirm", "").strip() == style.slug:
        return {}
    return {"confirm": gettext("The name doesn't match. Type {style} to delete it.").format(style=style.slug)}


def _render_version_form(
    request: MemberRequest, version: AdapterVersion, errors: dict[str, str]
) -> HttpResponse:
    context = {"version": version, "losers": workflow.count_other_users(version), "errors": errors}
    return _render_form(request, version.style, reverse("adapters:erase_version", args=[version.pk]), context)


def _render_form(request: MemberRequest, style: Style, action: str, context: dict[str, Any]) -> HttpResponse:
    typed = request.POST.get("confirm", "")
    context |= {"style": style, "action": action, "typed": typed, "notice_days": sharing.NOTICE.days}
    status = 400 if context["errors"] else 200
    return render(request, "adapters/delete.html", context, status=status)
