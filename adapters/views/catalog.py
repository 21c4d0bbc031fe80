"""The catalogue, one style, and selecting it."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from adapters.catalog import queries as styles
from adapters.catalog import sharing
from adapters.catalog.forms import LICENCES, AboutForm, ShareForm
from adapters.errors import StyleNotFound
from adapters.models import Style
from adapters.quality import cards as stylecards
from adapters.releases import review
from adapters.views.common import steps_of
from adapters.views.releases import release_of
from tenants.public import MemberRequest, member_required


@require_GET
@member_required
def catalogue(request: MemberRequest) -> HttpResponse:
    """Show all styles that the tenant can have and has."""
    query = request.GET.get("q", "").replace("\0", "").strip()[:100]
    others = styles.others_styles(request.tenant, query)
    context = {
        "query": query,
        "styles": [card for card in others if card.is_public],
        "shared_styles": [card for card in others if not card.is_public],
        "own_styles": styles.own_styles(request.tenant, query),
        "selected_count": sum(card.is_selected for card in others),
        "base_model": settings.BASE_MODEL,
    }
    return render(request, "adapters/catalogue.html", context)


@require_GET
@member_required
def style(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show one style; to its owner also its versions and the newest one's steps."""
    try:
        found = styles.find_style(request.tenant, owner, slug)
    except StyleNotFound as error:
        raise Http404 from error
    return style_page(request, found)


def style_page(request: MemberRequest, found: Style, *, status: int = 200, **more: Any) -> HttpResponse:
    """Show a style that the tenant may see; `more` are forms that were filled in wrongly."""
    context: dict[str, Any] = {
        "style": styles.card(request.tenant, found),
        "licence_url": LICENCES.get(found.licence),
        **_probe_of(request, found),
    }
    if found.owner_id == request.tenant.pk:
        versions = list(found.versions.select_related("style__owner", "erasure").order_by("-number")[:100])
        context |= {"versions": versions, **(steps_of(versions[0]) if versions else {})}
        context |= release_of(found) | _sharing_of(found)
    return render(request, "adapters/style.html", context | more, status=status)


@require_POST
@member_required
def select(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Take a style that is public or shared with the tenant into its library."""
    chosen = get_object_or_404(Style.objects.selectable_by(request.tenant.pk), pk=style_id)
    styles.select_style(request.tenant, chosen)
    return _selection(request, chosen)


@require_POST
@member_required
def unselect(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Take a style out of the tenant's library."""
    chosen = get_object_or_404(Style, pk=style_id, selections__tenant=request.tenant)
    styles.unselect_style(request.tenant, chosen)
    return _selection(request, chosen)


def _selection(request: MemberRequest, chosen: Style) -> HttpResponse:
    if request.headers.get("HX-Request") != "true":
        return redirect("adapters:catalogue")
    if not Style.objects.visible_to(request.tenant.pk).filter(pk=chosen.pk).exists():
        return HttpResponse()  # it was kept from before the style was taken back; now its card goes
    return render(request, "adapters/_style_card.html", {"style": styles.card(request.tenant, chosen)})


def _probe_of(request: MemberRequest, style: Style) -> dict[str, Any]:
    """Return the live version's style card; owners may see those of all that were measured."""
    is_own = style.owner_id == request.tenant.pk
    measured = style.versions.exclude(probe=None).order_by("-number") if is_own else []
    cards = {str(version.number): version for version in measured}
    answering = style.live_version if is_own else style.show_to(request.tenant.pk).live_version
    chosen = cards.get(request.GET.get("version", "")) or answering or next(iter(cards.values()), None)
    return {"probe": stylecards.style_card_of(chosen), "probe_numbers": list(cards) if len(cards) > 1 else []}


def _sharing_of(style: Style) -> dict[str, Any]:
    """Return what only the owner sees of who may use a style."""
    return {
        "own": style,
        "waiting": review.pending_review(style),
        "shares": list(style.shares.select_related("tenant").order_by("tenant__name")),
        "users": sharing.audience(style),
        "notice_days": sharing.NOTICE.days,
        "about_form": AboutForm(style=style),
        "share_form": ShareForm(),
    }
