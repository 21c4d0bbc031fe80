"""The catalogue, one style, and selecting it."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from adapters import catalogue as styles
from adapters.errors import StyleNotFound
from adapters.models import Style
from adapters.views.common import steps_of
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
        context |= {"versions": versions, **(steps_of(versions[0]) if versions else {})}
    return render(request, "adapters/style.html", context)


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
