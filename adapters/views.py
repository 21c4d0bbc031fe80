"""Pages of the studio: the catalogue, a style and its versions, uploading."""

import json
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from adapters import bells, progress, serving, uploads
from adapters import catalogue as styles
from adapters.errors import NoBaseModel, NotUploaded, StyleNotFound, UploadRefused, VersionMoved
from adapters.models import AdapterVersion, Status, Style
from adapters.uploads import About
from tenants.public import MemberRequest, member_required


@require_GET
@member_required
def catalogue(request: MemberRequest) -> HttpResponse:
    """Show all styles that the tenant can have and has."""
    query = request.GET.get("q", "").strip()[:100]
    public = styles.public_styles(request.tenant, query)
    context = {
        "query": query,
        "styles": public,
        "own_styles": styles.own_styles(request.tenant, query),
        "selected_count": sum(card.is_selected for card in public),
        "base_model": settings.BASE_MODEL,
    }
    return render(request, "adapters/catalogue.html", context)


@require_GET
@member_required
def style(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show one style; to its owner also its versions and the newest one's steps."""
    try:
        found = styles.find(request.tenant, owner, slug)
    except StyleNotFound as error:
        raise Http404 from error
    context: dict[str, Any] = {"style": styles.card(request.tenant, found)}
    if found.owner_id == request.tenant.pk:
        versions = list(found.versions.select_related("style__owner").order_by("-number")[:100])
        context |= {"versions": versions, **(_steps(versions[0]) if versions else {})}
    return render(request, "adapters/style.html", context)


@require_GET
@member_required
def upload(request: MemberRequest) -> HttpResponse:
    """Show the upload form, filled in for the next version of an own style."""
    own = Style.objects.filter(owner=request.tenant, slug=request.GET.get("style", "")[:40]).first()
    context: dict[str, Any] = {
        "initial": own or {},
        "base_model": settings.BASE_MODEL,
        "max_bytes": sum(uploads.LIMITS_BYTES.values()),
    }
    return render(request, "adapters/upload.html", context)


@require_POST
@member_required
def create_version(request: MemberRequest) -> JsonResponse:
    """Make a version of a new or an own style; answer with a POST form for each file."""
    try:
        about, files = _parsed(request)
        version, forms = uploads.begin(request.tenant, request.user, about, files)
    except UploadRefused as error:
        return JsonResponse({"errors": error.errors}, status=400)
    except NoBaseModel as error:
        return JsonResponse({"errors": {"__all__": [error.message]}}, status=503)
    answer = {
        "version": str(version.pk),
        "uploads": [{"file": form.file, "url": form.url, "fields": form.fields} for form in forms],
        "finish": reverse("adapters:finish", args=[version.pk]),
        "page": _page(version),
    }
    return JsonResponse(answer, status=201)


@require_POST
@member_required
def finish(request: MemberRequest, version_id: UUID) -> JsonResponse:
    """Take over an upload whose files are all there."""
    version = _own_version(request, version_id)
    try:
        uploads.finish(version)
    except NotUploaded as error:
        return JsonResponse({"errors": {"files": [error.message]}}, status=400)
    bells.ring_advance(version.pk)
    return JsonResponse({"page": _page(version)})


@require_GET
@never_cache
@member_required
def steps(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Show where a version is; the page asks again each second until it is final."""
    return render(request, "adapters/_steps.html", _steps(_own_version(request, version_id)))


@require_POST
@member_required
def retry(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Push a failed version again."""
    version = _own_version(request, version_id)
    try:
        serving.retry(version)
        bells.ring_advance(version.pk)
    except VersionMoved as error:
        messages.error(request, error.message)
    return redirect(_page(version))


@require_POST
@member_required
def retire(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """End a version when its style's short name was typed."""
    version = _own_version(request, version_id)
    if version.status == Status.REJECTED:
        messages.error(request, f"Version {version.number} was rejected and never served.")
    elif request.POST.get("confirm", "").strip() != version.style.slug:
        messages.error(request, f"Nothing was retired. Type {version.style.slug} to retire this version.")
    else:
        serving.retire(version)
        messages.success(request, f"Version {version.number} is retired.")
    return redirect(_page(version))


@require_POST
@member_required
def select(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Take a public style into the tenant's library."""
    chosen = get_object_or_404(Style.objects.visible_to(request.tenant.pk), pk=style_id, is_public=True)
    styles.select(request.tenant, chosen)
    return _selection(request, chosen)


@require_POST
@member_required
def unselect(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Take a style out of the tenant's library."""
    chosen = get_object_or_404(Style, pk=style_id, selections__tenant=request.tenant)
    styles.unselect(request.tenant, chosen)
    return _selection(request, chosen)


def _selection(request: MemberRequest, chosen: Style) -> HttpResponse:
    if request.headers.get("HX-Request") != "true":
        return redirect("adapters:catalogue")
    return render(request, "adapters/_style_card.html", {"style": styles.card(request.tenant, chosen)})


def _own_version(request: MemberRequest, version_id: UUID) -> AdapterVersion:
    versions = AdapterVersion.objects.select_related("style__owner")
    return get_object_or_404(versions, pk=version_id, style__owner=request.tenant)


def _steps(version: AdapterVersion) -> dict[str, Any]:
    return {"version": version, "steps": progress.steps_of(version, version.history.all())}


def _page(version: AdapterVersion) -> str:
    style = version.style
    return reverse("adapters:style", kwargs={"owner": style.owner.slug, "slug": style.slug})


def _parsed(request: HttpRequest) -> tuple[About, dict[str, int]]:
    """Return what a request for a new version says. Raises UploadRefused when it can't be understood."""
    try:
        body = json.loads(request.body)
        files = {str(file["name"]): int(file["size"]) for file in body["files"]}
        texts = {field: body.get(field) or "" for field in ("slug", "name", "description", "sample_prompt")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UploadRefused(
            {"files": ["Send JSON with slug, name and files: [{name, size in bytes}, …]."]}
        ) from error
    return About(**{field: str(text).replace("\0", "").strip() for field, text in texts.items()}), files
