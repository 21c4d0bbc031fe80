"""Upload a version, and watch its steps."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from adapters import actions
from adapters.errors import NoBaseModel, NotUploaded, UploadEnded, UploadRefused
from adapters.models import Style
from adapters.uploads import storage_quota
from adapters.uploads.sessions import Method
from adapters.uploads.upload_request import StyleDescription
from adapters.validation import strict_json
from adapters.validation.limits import ARCHIVE_LIMIT, LIMITS_BYTES, WEIGHTS_LIMIT
from adapters.views.common import changes_styles, own_version, page_of, steps_context
from core.pages import failures_shown
from tenants.access import MemberRequest, access_of, member_required
from tenants.roles import Permission, requires

TEXTS = ("slug", "name", "description", "sample_prompt", "stated_quantisation")
SIZE_MAX = 2**62  # beyond every limit, and still a number that a sentence can give in MiB
BODY_FORMAT = "Send JSON with slug, name and files: [{name, size in bytes}, …]."


@require_GET
@member_required
@requires(Permission.CHANGE_STYLES, to_read=Permission.CHANGE_STYLES)
def upload(request: MemberRequest) -> HttpResponse:
    """Show the upload form, filled in for the next version of an own style."""
    slug = request.GET.get("style", "").replace("\0", "")[:40]
    own = Style.objects.filter(owner=request.tenant, slug=slug).first()
    context: dict[str, Any] = {
        "initial": own or {},
        "base_model": settings.BASE_MODEL,
        "files": list(LIMITS_BYTES),
        "max_bytes": sum(LIMITS_BYTES.values()),
        "max_archive_bytes": ARCHIVE_LIMIT,
        "served_bytes": WEIGHTS_LIMIT,
        "stored": None if request.tenant.is_first_party else storage_quota.storage_of(request.tenant),
    }
    return render(request, "adapters/upload.html", context)


@changes_styles
def create_version(request: MemberRequest) -> JsonResponse:
    """Make a version of a new or an own style; return POST forms, or where to get addresses of parts."""
    try:
        about, sizes, method = _parse_body(request)
        version, forms = actions.begin_upload(access_of(request), about, sizes, method=method)
    except UploadRefused as error:
        return JsonResponse({"errors": error.errors}, status=400)
    except NoBaseModel as error:
        return JsonResponse({"errors": {"__all__": [error.message]}}, status=503)
    answer = {
        "version": str(version.pk),
        "uploads": [{"file": form.file, "url": form.url, "fields": form.fields} for form in forms],
        "status": reverse("api:uploads.get", args=[version.pk]) if version.multipart else None,
        "finish": reverse("adapters:finish", args=[version.pk]),
        "cancel": reverse("adapters:cancel", args=[version.pk]),
        "page": page_of(version.style),
    }
    return JsonResponse(answer, status=201)


@changes_styles
def finish(request: MemberRequest, version_id: UUID) -> JsonResponse:
    """Finish an upload whose files are all there. Finishing it twice does nothing."""
    version = own_version(request, version_id)
    try:
        actions.finish_upload(access_of(request), version)
    except NotUploaded as error:
        return JsonResponse({"errors": {"files": [error.message]}}, status=400)
    except UploadEnded as error:
        return JsonResponse({"errors": {"__all__": [error.message]}}, status=409)
    return JsonResponse({"page": page_of(version.style)})


@require_GET
@never_cache
@member_required
def steps(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Show a version's steps; the page asks again each second until the version is final."""
    return render(request, "adapters/_steps.html", steps_context(own_version(request, version_id)))


@changes_styles
def retry(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Push a failed version again."""
    version = own_version(request, version_id)
    with failures_shown(request):
        actions.retry_version(access_of(request), version)
    return redirect(page_of(version.style))


@changes_styles
def cancel(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Cancel an upload that is not finished, and delete what was sent of it."""
    version = own_version(request, version_id)
    with failures_shown(request):
        actions.cancel_upload(access_of(request), version)
        done = gettext("The upload of version {version} was cancelled.").format(version=version.number)
        messages.success(request, done)
    return redirect(page_of(version.style))


@changes_styles
def convert(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Make a new version out of a rejected one that can be corrected mechanically."""
    version = own_version(request, version_id)
    with failures_shown(request):
        actions.convert_version(access_of(request), version)
    return redirect(page_of(version.style))


def _parse_body(request: HttpRequest) -> tuple[StyleDescription, dict[str, int], Method]:
    """Return what a request for a new version says, and how its files come.

    Raises UploadRefused when its body can't be read.
    """
    texts: dict[str, str] = {}
    sizes: dict[str, int] = {}
    try:
        body = strict_json.load(request.body)
        for field in TEXTS:
            texts[field] = _parse_text(body.get(field) or "").replace("\0", "").strip()
        for file in body["files"]:
            sizes[_parse_text(file["name"])] = min(int(file["size"]), SIZE_MAX)
        auto_promote = body.get("auto_promote") not in (False, "false")
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
        raise UploadRefused({"files": [BODY_FORMAT]}) from error
    method: Method = "multipart" if body.get("method") == "multipart" else "post"
    return StyleDescription(**texts, auto_promote=auto_promote), sizes, method


def _parse_text(value: object) -> str:
    """Return what was sent as a text. Raises ValueError where a character is half a surrogate pair."""
    text = str(value)
    if not strict_json.is_text(text):
        raise ValueError
    return text
