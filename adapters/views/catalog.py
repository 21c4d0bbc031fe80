"""The list of styles: selecting them, and a person's favourites."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from adapters.catalog import browse, queries, selection
from adapters.errors import TooManyFavourites
from adapters.models import Style
from adapters.views.common import changes_styles
from core.pages import is_part_wanted
from tenants.access import MemberRequest, access_of, member_required
from tenants.roles import Permission, requires


@require_GET
@member_required
def catalogue(request: MemberRequest) -> HttpResponse:
    """Show the styles that the tenant has and can select, as the address narrows and orders them."""
    query = browse.BrowseQuery.parse(request.GET.dict())
    found = browse.browse(request.tenant, request.user, query)
    context = {
        "query": query,
        "styles": found.cards,
        "favourites": found.favourites,
        "next_after": found.next_after,
        "kinds": browse.KINDS,
        "orders": browse.ORDERS,
        "languages": browse.languages_of(request.tenant),
        "selected_count": browse.count_selected(request.tenant),
        "base_model": settings.BASE_MODEL,
    }
    return render(request, "adapters/catalogue.html", context)


@changes_styles
def select(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Select a style that is public or shared with the tenant."""
    chosen = get_object_or_404(Style.objects.selectable_by(request.tenant.pk), pk=style_id)
    selection.select_style(access_of(request), chosen)
    name = chosen.show_to(request.tenant.pk).name
    return _card_response(request, chosen, said=gettext("{name} selected.").format(name=name))


@changes_styles
def unselect(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Unselect a style."""
    chosen = get_object_or_404(Style, pk=style_id, selections__tenant=request.tenant)
    selection.unselect_style(access_of(request), chosen)
    name = chosen.show_to(request.tenant.pk).name
    return _card_response(request, chosen, said=gettext("{name} is no longer selected.").format(name=name))


@require_POST
@member_required
@requires(Permission.READ)
def like(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Keep a style among the person's favourites."""
    chosen = get_object_or_404(Style.objects.visible_to(request.tenant.pk), pk=style_id)
    try:
        selection.add_favourite(request.user, chosen)
    except TooManyFavourites as error:
        messages.error(request, error.message)
        return redirect("adapters:catalogue")
    return _card_response(request, chosen)


@require_POST
@member_required
@requires(Permission.READ)
def unlike(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Take a style off the person's favourites."""
    chosen = get_object_or_404(Style.objects.visible_to(request.tenant.pk), pk=style_id)
    selection.drop_favourite(request.user, chosen.pk)
    return _card_response(request, chosen)


def _card_response(request: MemberRequest, chosen: Style, *, said: str = "") -> HttpResponse:
    """Answer with the card alone, which says what was done; without htmx with the list."""
    if not is_part_wanted(request):
        if said:
            messages.success(request, said)
        return redirect("adapters:catalogue")
    if not Style.objects.visible_to(request.tenant.pk).filter(pk=chosen.pk).exists():
        return HttpResponse()  # the style was taken back meanwhile: its card disappears
    context = {
        "style": queries.card(request.tenant, chosen),
        "favourites": selection.favourites_among(request.user, [chosen.pk]),
        "said": said,
    }
    return render(request, "adapters/_style_card.html", context)
