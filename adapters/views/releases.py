"""Releasing: which version answers, and ending one."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from adapters import serving
from adapters.models import Status
from adapters.views.common import own_version, page_of
from tenants.public import MemberRequest, member_required


@require_POST
@member_required
def retire(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """End a version when its style's short name was typed."""
    version = own_version(request, version_id)
    if version.status == Status.REJECTED:
        messages.error(request, f"Version {version.number} was rejected and never served.")
    elif request.POST.get("confirm", "").strip() != version.style.slug:
        messages.error(request, f"Nothing was retired. Type {version.style.slug} to retire this version.")
    else:
        serving.retire(version)
        messages.success(request, f"Version {version.number} is retired.")
    return redirect(page_of(version.style))
