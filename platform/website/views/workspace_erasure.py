"""The page of a deleted workspace's erasure, for those who owned it."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.deleted_workspaces import find_deleted_workspace
from core.page_parts import render_page_or_part
from operations.workspace_erasure import describe_progress, workspace_report
from tenants.models import User


@require_GET
@never_cache
@login_required
def show_erasure(request: HttpRequest, workspace_id: UUID) -> HttpResponse:
    """Show how far the erasure is, which the page polls; with `?form=json` each proof."""
    user = request.user
    tenant = find_deleted_workspace(user, workspace_id) if isinstance(user, User) else None
    if tenant is None:
        raise Http404
    if request.GET.get("form") == "json":
        return workspace_report(tenant)
    return render_page_or_part(request, "website/workspace_erasure.html", describe_progress(tenant))
