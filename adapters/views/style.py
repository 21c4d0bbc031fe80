"""The page of one style, in tabs that are addresses of their own."""

from copy import copy
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from adapters.catalog import price_changes, queries, selection, sharing, terms
from adapters.catalog.forms import LICENCES, AboutForm, OfferForm, PriceForm, ShareForm
from adapters.errors import (
    AlreadyShared,
    NoSuchWorkspace,
    OwnWorkspace,
    ShortNameNeeded,
    VersionNotShareable,
)
from adapters.evidence import evidence_card_of, reads_texts
from adapters.models import Share, Status, Style
from adapters.quality.samples import style_card_of
from adapters.releases import review
from adapters.views.common import changes_styles, find_style, own_style, page_of, steps_context
from adapters.views.releases import release_context
from core.pages import failures_shown
from metering.style_usage import style_usage
from tenants.access import MemberRequest, access_of, member_required

VERSIONS_SHOWN = 100
CALL = """client.chat.completions.create(
    model="{model}",
    messages=[{{"role": "user", "content": "…"}}],
    temperature={temperature:g},
)"""


@require_GET
@member_required
def overview(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show what a style does now and what it writes."""
    style = find_style(request, owner, slug)
    context = {
        "prices": terms.prices_of(style),
        "licence_url": LICENCES.get(style.licence),
        **_newest_context(request, style),
        **_evidence_context(request, style),
    }
    return _render_tab(request, style, "overview", context)


@require_GET
@member_required
def versions(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show its owner the versions, which one answers, and what moved."""
    style = find_style(request, owner, slug, is_own=True)
    newest_first = style.versions.select_related("style__owner", "erasure").order_by("-number")
    shown = list(newest_first[:VERSIONS_SHOWN])
    context = {
        "versions": shown,
        "users": sharing.audience(style),
        "notice_days": sharing.NOTICE.days,
        **release_context(style),
    }
    if shown and shown[0].status != Status.RETIRED:
        context |= steps_context(shown[0])
    return _render_tab(request, style, "versions", context)


@require_GET
@member_required
def usage(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show what this workspace wrote in a style this month."""
    style = find_style(request, owner, slug)
    context = {"usage": style_usage(request.tenant, style.model_name, timezone.now())}
    return _render_tab(request, style, "usage", context)


@require_GET
@member_required
def developers(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show how programs call a style."""
    style = find_style(request, owner, slug)
    call = CALL.format(model=style.model_name, temperature=style.default_temperature)
    return _render_tab(request, style, "developers", {"call": call})


@require_GET
@member_required
def share_tab(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show its owner who may use a style."""
    return sharing_page(request, find_style(request, owner, slug, is_own=True))


@require_GET
@member_required
def edit_tab(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show its owner the words that others read, and how to delete it."""
    style = find_style(request, owner, slug, is_own=True)
    return settings_page(request, style, AboutForm(style=style))


def sharing_page(
    request: MemberRequest,
    style: Style,
    *,
    share_form: ShareForm | None = None,
    offer_form: OfferForm | None = None,
    price_form: PriceForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """Show who may use an own style, with forms that may have errors."""
    context = {
        "waiting": review.pending_review(style),
        "shares": list(style.shares.select_related("tenant").order_by("tenant__name")),
        "users": sharing.audience(style),
        "notice_days": sharing.NOTICE.days,
        "share_form": share_form or ShareForm(),
        "offer_form": offer_form or OfferForm(style=style),
        "asked": terms.describe_terms(terms.asked_terms(style)),
        **_price_context(style, price_form),
    }
    return _render_tab(request, style, "sharing", context, status=status)


def _price_context(style: Style, form: PriceForm | None) -> dict[str, Any]:
    """Return what others pay for a public style, and what its owner asks for instead."""
    if not style.is_reviewed:
        return {}
    change = price_changes.open_change(style)
    return {
        "prices": terms.prices_of(style),
        "change": change,
        "change_terms": terms.describe_terms(price_changes.terms_of(change)) if change else [],
        "declined_change": price_changes.last_answer(style),
        "price_form": form or PriceForm(style=style),
        "price_notice_days": price_changes.NOTICE_DAYS,
    }


def settings_page(
    request: MemberRequest, style: Style, form: AboutForm, *, status: int = 200
) -> HttpResponse:
    """Show what others read of an own style, with a form that may have errors."""
    context = {
        "about_form": form,
        "waiting": review.pending_review(style),
    }
    return _render_tab(request, style, "settings", context, status=status)


def _render_tab(
    request: MemberRequest, style: Style, tab: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    [card] = queries.cards_of(request.tenant, [copy(style)])
    shared = {"style": card, "tab": tab}
    if style.owner_id == request.tenant.pk:
        shared["own"] = style
    return render(request, f"adapters/style_{tab}.html", shared | context, status=status)


def _newest_context(request: MemberRequest, style: Style) -> dict[str, Any]:
    """Return the steps of an own style's newest version, unless it answers and nothing is left to do."""
    if style.owner_id != request.tenant.pk:
        return {}
    newest = style.versions.select_related("style__owner").order_by("-number").first()
    if newest is None or newest.status == Status.RETIRED:
        return {}
    answers = newest.pk == style.live_version_id and newest.status == Status.SERVING
    return steps_context(newest) | {"version_answers": answers}


def _evidence_context(request: MemberRequest, style: Style) -> dict[str, Any]:
    """Return what was measured of the live version. The owner may choose among all measured versions."""
    if style.owner_id != request.tenant.pk:
        live_version = copy(style).show_to(request.tenant.pk).live_version
        card = evidence_card_of(live_version)
        return {
            "shown_version": live_version,
            "probe": style_card_of(live_version),
            "evidence": card.for_others() if card else None,
        }
    is_measured = Q(probe__isnull=False) | Q(evaluations__isnull=False)
    newest_first = style.versions.filter(is_measured).distinct().order_by("-number")
    measured = {str(version.number): version for version in newest_first}
    newest = next(iter(measured.values()), None)
    chosen = measured.get(request.GET.get("version", "")) or style.live_version or newest
    if chosen:
        chosen.style = style
    card = evidence_card_of(chosen)
    return {
        "is_own": True,
        "shown_version": chosen,
        "probe": style_card_of(chosen),
        "evidence": card if card is None or reads_texts(access_of(request), style) else card.without_texts(),
        "measured_numbers": list(measured) if len(measured) > 1 else [],
    }


CATALOGUE_ACTIONS = {
    "withdraw": (sharing.withdraw_offer, _("Offer withdrawn.")),
    "take-back": (
        sharing.take_back_style,
        _("The style leaves the catalogue on {ends}. You can undo this until then."),
    ),
    "keep": (sharing.keep_public, _("The style stays in the catalogue.")),
}
DESCRIBED = _("Saved. Your changes are now visible to everyone who can see the style.")
DESCRIBED_REVIEWED = _("Saved. Others will see your changes once they're approved.")
SHARE_ACTIONS = {
    "revoke": (sharing.revoke_share, _("{tenant} loses access on {ends}. You can undo this until then.")),
    "keep": (sharing.keep_share, _("{tenant} keeps access.")),
}


@changes_styles
def describe(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Change what people read about an own style."""
    style = own_style(request, style_id)
    form = AboutForm(request.POST, style=style)
    if form.is_valid():
        with failures_shown(request, form):
            selection.edit_style(access_of(request), style, form.texts())
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
            price_changes.ask_price(access_of(request), style, form.terms(), form.cleaned_data["first_day"])
            messages.success(request, gettext("Sent for approval."))
    if form.errors:
        return sharing_page(request, style, price_form=form, status=400)
    return redirect(page_of(style, "sharing"))


@changes_styles
def withdraw_price(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Withdraw what operators have not answered yet."""
    style = own_style(request, style_id)
    with failures_shown(request):
        price_changes.withdraw_price(access_of(request), style)
        messages.success(request, gettext("Price request withdrawn. The price stays the same."))
    return redirect(page_of(style, "sharing"))


@changes_styles
def share(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Share an own style with the workspace of a name."""
    style = own_style(request, style_id)
    form = ShareForm(request.POST)
    if form.is_valid():
        try:
            share = sharing.share_style(access_of(request), style, form.cleaned_data["workspace"])
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
    sharing.leave_share(access_of(request), style)
    messages.success(request, gettext("{style} is no longer shared with you.").format(style=style.name))
    return redirect("adapters:catalogue")


def _offer(request: MemberRequest, style: Style) -> HttpResponse:
    form = OfferForm(request.POST, style=style)
    with failures_shown(request, form):
        if form.is_valid():
            sharing.offer_style(access_of(request), style, form.terms())
            messages.success(request, gettext("Sent for approval."))
    if form.errors:
        return sharing_page(request, style, offer_form=form, status=400)
    return redirect(page_of(style, "sharing"))


def _format_day(at: datetime | None) -> str:
    return date_format(at, gettext("j F")) if at else ""
