"""What several pages of styles share."""

from collections.abc import Callable
from typing import Any, Concatenate
from uuid import UUID

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from adapters.catalog import queries
from adapters.models import AdapterVersion, Style
from adapters.uploads import sessions
from tenants.access import MemberRequest, member_required
from tenants.roles import Permission, requires


def changes_styles[**P](
    view: Callable[Concatenate[MemberRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Return a view that takes a form from members who may change styles."""
    return require_POST(member_required(requires(Permission.CHANGE_STYLES)(view)))


def own_version(request: MemberRequest, version_id: UUID) -> AdapterVersion:
    """Return a version of the tenant's own. Raises Http404."""
    versions = AdapterVersion.objects.select_related("style__owner")
    return get_object_or_404(versions, pk=version_id, style__owner=request.tenant)


def own_style(request: MemberRequest, style_id: UUID) -> Style:
    """Return a style of the tenant's own. Raises Http404."""
    styles = Style.objects.filter(owner=request.tenant, retired_at=None).select_related("owner")
    return get_object_or_404(styles, pk=style_id)


def find_style(request: MemberRequest, owner: str, slug: str, *, is_own: bool = False) -> Style:
    """Return a style that the tenant may see, or only one of its own. Raises Http404."""
    visible = queries.with_versions(Style.objects.visible_to(request.tenant.pk))
    style = get_object_or_404(visible.select_related("canary_version"), owner__slug=owner, slug=slug)
    if is_own and style.owner_id != request.tenant.pk:
        raise Http404
    return style


def steps_context(version: AdapterVersion) -> dict[str, Any]:
    """Return what the list of a version's steps shows."""
    return {
        "version": version,
        "steps": sessions.steps_of(version, version.history.all()),
        "conversions": sessions.offered_conversions(version),
    }


def page_of(style: Style, tab: str = "") -> str:
    """Return the address of a style's page, or of one of its tabs."""
    name = f"adapters:style_{tab}" if tab else "adapters:style"
    return reverse(name, kwargs={"owner": style.owner.slug, "slug": style.slug})
