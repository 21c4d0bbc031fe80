"""The catalogue, one style, and selecting it."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from adapters import actions
from adapters.catalog import priced, queries, sharing, terms
from adapters.catalog.forms import LICENCES, AboutForm, OfferForm, ShareForm
from adapters.errors import StyleNotFound
from adapters.models import Style
from adapters.quality import cards
from adapters.releases import review
from adapters.views.common import steps_context
from adapters.views.releases import release_context
from tenants.public import MemberRequest, access_of, member_required

VERSIONS_SHOWN = 100


@require_GET
@member_required
def catalogue(request: MemberRequest) -> HttpResponse:
    """Show the tenant's own styles and those that it can select."""
    query = request.GET.get("q", "").replace("\0", "").strip()[:100]
    others = queries.others_styles(request.tenant, query)
    context = {
        "query": query,
        "styles": [card for card in others if card.is_public],
        "shared_styles": [card for card in others if not card.is_public],
        "own_styles": queries.own_styles(request.tenant, query),
        "selected_count": sum(card.is_selected for card in others),
        "base_model": settings.BASE_MODEL,
    }
    return render(request, "adapters/catalogue.html", context)


@require_GET
@member_required
def style(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show one style; to its owner also its versions and the newest one's steps."""
    try:
        found = queries.find_style(request.tenant, owner, slug)
    except StyleNotFound as error:
        raise Http404 from error
    return style_page(request, found)


def style_page(request: MemberRequest, found: Style, *, status: int = 200, **more: Any) -> HttpResponse:
    """Show a style that the tenant may see. `more` are forms with errors, to show instead of empty ones."""
    context: dict[str, Any] = {
        "style": queries.card(request.tenant, found),
        "prices": priced.prices_of(found),
        "licence_url": LICENCES.get(found.licence),
    }
    context |= _probe_context(request, found)
    if found.owner_id == request.tenant.pk:
        versions = found.versions.select_related("style__owner", "erasure").order_by("-number")
        context["versions"] = list(versions[:VERSIONS_SHOWN])
        if context["versions"]:
            context |= steps_context(context["versions"][0])
        context |= release_context(found)
        context |= _sharing_context(found)
    return render(request, "adapters/style.html", context | more, status=status)


@require_POST
@member_required
def select(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Select a style that is public or shared with the tenant."""
    chosen = get_object_or_404(Style.objects.selectable_by(request.tenant.pk), pk=style_id)
    actions.select_style(access_of(request), chosen)
    return _selection_response(request, chosen)


@require_POST
@member_required
def unselect(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Unselect a style."""
    chosen = get_object_or_404(Style, pk=style_id, selections__tenant=request.tenant)
    actions.unselect_style(access_of(request), chosen)
    return _selection_response(request, chosen)


def _selection_response(request: MemberRequest, chosen: Style) -> HttpResponse:
    if request.headers.get("HX-Request") != "true":
        return redirect("adapters:catalogue")
    if not Style.objects.visible_to(request.tenant.pk).filter(pk=chosen.pk).exists():
        return HttpResponse()  # the style was taken back meanwhile: its card disappears
    return render(request, "adapters/_style_card.html", {"style": queries.card(request.tenant, chosen)})


def _probe_context(request: MemberRequest, style: Style) -> dict[str, Any]:
    """Return the live version's style card. The owner may choose among all versions that were measured."""
    if style.owner_id != request.tenant.pk:
        live_version = style.show_to(request.tenant.pk).live_version
        return {"probe": cards.style_card_of(live_version), "probe_numbers": []}
    measured = {
        str(version.number): version for version in style.versions.exclude(probe=None).order_by("-number")
    }
    newest = next(iter(measured.values()), None)
    chosen = measured.get(request.GET.get("version", "")) or style.live_version or newest
    return {
        "probe": cards.style_card_of(chosen),
        "probe_numbers": list(measured) if len(measured) > 1 else [],
    }


def _sharing_context(style: Style) -> dict[str, Any]:
    """Return what only the owner sees of who may use a style."""
    return {
        "own": style,
        "waiting": review.pending_review(style),
        "shares": list(style.shares.select_related("tenant").order_by("tenant__name")),
        "users": sharing.audience(style),
        "notice_days": sharing.NOTICE.days,
        "about_form": AboutForm(style=style),
        "share_form": ShareForm(),
        "offer_form": OfferForm(style=style),
        "asked": terms.describe_terms(terms.asked_terms(style)),
    }
