"""The report of a deleted workspace's erasure, for those who owned it."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from adapters.erasure.report import STAYS, erasure_reports
from adapters.erasure.workspaces import open_styles, unfinished_erasures
from adapters.models import Erasure
from tenants.models import Tenant, User
from tenants.public import KEPT_OF_WORKSPACE, find_deleted_workspace

VERSIONS_SHOWN = 200


@require_GET
@never_cache
@login_required
def show_erasure(request: HttpRequest, workspace_id: UUID) -> HttpResponse:
    """Show how far the erasure is, which the page polls; with `?form=json` every version's proof."""
    user = request.user
    tenant = find_deleted_workspace(user, workspace_id) if isinstance(user, User) else None
    if tenant is None:
        raise Http404
    if request.GET.get("form") == "json":
        return workspace_report(tenant)
    is_polled = request.headers.get("HX-Request") == "true"
    template = "adapters/_workspace_erasure.html" if is_polled else "adapters/workspace_erasure.html"
    return render(request, template, _progress(tenant))


def _progress(tenant: Tenant) -> dict[str, Any]:
    erasures = _erasures(tenant)
    waiting = open_styles(tenant).count()
    unfinished = unfinished_erasures(tenant).count()
    total = erasures.count()
    return {
        "workspace": tenant,
        "waiting_styles": waiting,
        "done_count": total - unfinished,
        "total_count": total,
        "is_finished": tenant.erased_at is not None,
        "erasures": list(erasures.order_by("finished_at", "-requested_at")[:VERSIONS_SHOWN]),
        "kept": KEPT_OF_WORKSPACE,
    }


def workspace_report(tenant: Tenant) -> HttpResponse:
    """Return every version's proof as a file."""
    reports = [report.data() for report in erasure_reports(list(_erasures(tenant).order_by("requested_at")))]
    data = {
        "workspace": tenant.slug,
        "deleted_at": tenant.deleted_at,
        "erased_at": tenant.erased_at,
        "kept": KEPT_OF_WORKSPACE,
        "stays": STAYS,
        "versions": reports,
    }
    response = JsonResponse(data, json_dumps_params={"indent": 2})
    response["Content-Disposition"] = f'attachment; filename="erasure-{tenant.slug}.json"'
    return response


def _erasures(tenant: Tenant) -> Any:
    return Erasure.objects.filter(version__style__owner=tenant).select_related("version__style__owner")
