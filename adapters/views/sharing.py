"""Describe a style, offer it to everybody, share it with a workspace."""

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adapters import actions
from adapters.catalog.forms import AboutForm, OfferForm, PriceForm, ShareForm
from adapters.errors import (
    AlreadyShared,
    NoSuchWorkspace,
    OwnWorkspace,
    ShortNameNeeded,
    VersionNotShareable,
)
from adapters.models import Share, Style
from adapters.views.common import changes_styles, own_style, page_of
from adapters.views.style import settings_page, sharing_page
from core.pages import failures_shown
from tenants.access import MemberRequest, access_of

CATALOGUE_ACTIONS = {
    "withdraw": (actions.withdraw_offer, _("Offer withdrawn.")),
    "take-back": (
        actions.take_back_style,
        _("The style leaves the catalogue on {ends}. You can undo this until then."),
    ),
    "keep": (actions.keep_public, _("The style stays in the catalogue.")),
}
DESCRIBED = _("Saved. Your changes are now visible to everyone who can see the style.")
DESCRIBED_REVIEWED = _("Saved. Others will see your changes once they're approved.")
SHARE_ACTIONS = {
    "revoke": (actions.revoke_share, _("{tenant} loses access on {ends}. You can undo this until then.")),
    "keep": (actions.keep_share, _("{tenant} keeps access.")),
}


@changes_styles
def describe(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Change what people read about an own style."""
    style = own_style(request, style_id)
    form = AboutForm(request.POST, style=style)
    if form.is_valid():
        with failures_shown(request, form):
            actions.edit_style(access_of(request), style, form.texts())
            messages.success(request, DESCRIBED_REVIEWED if style.is_reviewed else DESCRIBED)
            return redirect(page_of(style, "settings"))
    return settings_page(request, style, form, status=400)


@changes_styles
def offer(request: MemberRequest, style_id: UUID, action: str) -> HttpResponse:
    """Offer an own style to the public catalogue, withdraw the offer, take the style back, or undo that."""
    style = own_style(request, style_id)
    if action == "offer":
        return _offer(request, style)
    if action not in CATALOGUE_ACTIONS:
        raise Http404
    change, done = CATALOGUE_ACTIONS[action]
    with failures_shown(request):
        change(access_of(request), style)
        style.refresh_from_db(fields=["public_until"])
        messages.success(request, done.format(ends=_format_day(style.public_until)))
    return redirect(page_of(style, "sharing"))


@changes_styles
def ask_price(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Ask for other prices and another share of an own style that is public."""
    style = own_style(request, style_id)
    form = PriceForm(request.POST, style=style)
    with failures_shown(request, form):
        if form.is_valid():
            actions.ask_price(access_of(request), style, form.terms(), form.cleaned_data["first_day"])
            messages.success(request, gettext("Sent for approval."))
    if form.errors:
        return sharing_page(request, style, price_form=form, status=400)
    return redirect(page_of(style, "sharing"))


@changes_styles
def withdraw_price(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Withdraw what operators have not answered yet."""
    style = own_style(request, style_id)
    with failures_shown(request):
        actions.withdraw_price(access_of(request), style)
        messages.success(request, gettext("Price request withdrawn. The price stays the same."))
    return redirect(page_of(style, "sharing"))


@changes_styles
def share(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Share an own style with the workspace of a name."""
    style = own_style(request, style_id)
    form = ShareForm(request.POST)
    if form.is_valid():
        try:
            share = actions.share_style(access_of(request), style, form.cleaned_data["workspace"])
            messages.success(
                request,
                gettext("{tenant} ({slug}) can now select {style}.").format(
                    tenant=share.tenant.name, slug=share.tenant.slug, style=style.name
                ),
            )
            return redirect(page_of(style, "sharing"))
        except ShortNameNeeded as error:
            # Filled in, so that sending the form again confirms it.
            form.data = {"workspace": error.facts["slug"]}
            form.add_error("workspace", error.message)
        except (NoSuchWorkspace, OwnWorkspace, AlreadyShared, VersionNotShareable) as error:
            form.add_error("workspace", error.message)
    return sharing_page(request, style, share_form=form, status=400)


@changes_styles
def change_share(request: MemberRequest, share_id: int, action: str) -> HttpResponse:
    """Revoke a share of an own style with notice, or undo that."""
    shares = Share.objects.select_related("style__owner", "tenant")
    own = get_object_or_404(shares, pk=share_id, style__owner=request.tenant)
    if action not in SHARE_ACTIONS:
        raise Http404
    change, done = SHARE_ACTIONS[action]
    with failures_shown(request):
        change(access_of(request), own)
        own.refresh_from_db(fields=["ends_at"])
        messages.success(request, done.format(tenant=own.tenant.name, ends=_format_day(own.ends_at)))
    return redirect(page_of(own.style, "sharing"))


@changes_styles
def leave(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Leave a style that another workspace shares."""
    shared = Style.objects.visible_to(request.tenant.pk).filter(shares__tenant=request.tenant)
    style = get_object_or_404(shared, pk=style_id)
    actions.leave_share(access_of(request), style)
    messages.success(request, gettext("{style} is no longer shared with you.").format(style=style.name))
    return redirect("adapters:catalogue")


def _offer(request: MemberRequest, style: Style) -> HttpResponse:
    form = OfferForm(request.POST, style=style)
    with failures_shown(request, form):
        if form.is_valid():
            actions.offer_style(access_of(request), style, form.terms())
            messages.success(request, gettext("Sent for approval."))
    if form.errors:
        return sharing_page(request, style, offer_form=form, status=400)
    return redirect(page_of(style, "sharing"))


def _format_day(at: datetime | None) -> str:
    return date_format(at, gettext("j F")) if at else ""
