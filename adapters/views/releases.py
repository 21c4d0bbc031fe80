"""Releases: which version answers, a canary on a share of the requests, and the end of a version."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from adapters import actions
from adapters.errors import BadShare
from adapters.models import Status, Style
from adapters.releases import aliases, canary_analysis
from adapters.views.common import changes_styles, own_style, own_version, page_of
from core.pages import failures_shown
from tenants.access import MemberRequest, access_of, member_required

MOVES_SHOWN = 20
MAX_DIGITS = 10


def release_context(style: Style) -> dict[str, Any]:
    """Return what only the owner sees of a style's releases."""
    previous = aliases.previous_live(style)
    can_roll_back = previous is not None and previous.status == Status.SERVING
    moves = style.releases.select_related("before", "after", "actor", "api_key")
    return {
        "comparison": canary_analysis.compare_canary(style),
        "before": previous if can_roll_back else None,
        "successor": aliases.successor_beside(style, previous),
        "moves": list(moves[:MOVES_SHOWN]),
    }


@changes_styles
def promote(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Let a version answer for its style."""
    version = own_version(request, version_id)
    done = gettext("Version {version} is now live.")
    if version.style.is_reviewed and not version.is_approved:
        done = gettext(
            "Version {version} is now live in your workspace. Everyone else gets it once it's approved."
        )
    with failures_shown(request):
        is_new = actions.promote_version(access_of(request), version)
        if not is_new:  # another tab, or another person, was first
            done = gettext("Version {version} is already live.")
        show = messages.success if is_new else messages.info
        show(request, done.format(version=version.number))
    return redirect(page_of(version.style, "versions"))


@changes_styles
def roll_back(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Let the version that answered before answer again."""
    style = own_style(request, style_id)
    seen_live = _parse_number(request.POST.get("live", ""))
    with failures_shown(request):
        actions.roll_back(access_of(request), style, seen_live=seen_live)
        messages.success(request, gettext("Rolled back. The previous version is live again."))
    return redirect(page_of(style, "versions"))


@changes_styles
def begin_canary(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Try a version on a share of its style's requests, or change that share."""
    version = own_version(request, version_id)
    percent = _parse_number(request.POST.get("percent", ""))
    done = gettext("Version {version} now gets {percent}% of requests.")
    if version.style.is_reviewed and not version.is_approved:
        done = gettext("Version {version} now gets {percent}% of your own requests.")
    with failures_shown(request):
        if percent is None:
            raise BadShare
        actions.begin_canary(access_of(request), version, percent)
        messages.success(request, done.format(version=version.number, percent=percent))
    return redirect(page_of(version.style, "versions"))


@changes_styles
def end_canary(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Let the live version answer everybody again."""
    style = own_style(request, style_id)
    with failures_shown(request):
        actions.end_canary(access_of(request), style)
        messages.success(request, gettext("The canary has ended. All requests go to the live version."))
    return redirect(page_of(style, "versions"))


@require_GET
@never_cache
@member_required
def canary(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Show how a canary does; the page asks again until the canary has ended, and then reloads."""
    comparison = canary_analysis.compare_canary(own_style(request, style_id))
    if comparison is None:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "adapters/_release.html", {"comparison": comparison})


@changes_styles
def retire(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Retire a version when its style's short name was typed, and `at_once` ticked where others have it."""
    version = own_version(request, version_id)
    slug = version.style.slug
    if request.POST.get("confirm", "").strip() != slug:
        refused = gettext("The version was not retired. Type {style} to retire it.").format(style=slug)
        messages.error(request, refused)
        return redirect(page_of(version.style, "versions"))
    with failures_shown(request):
        actions.retire_version(access_of(request), version, at_once="at_once" in request.POST)
        messages.success(request, gettext("Version {version} was retired.").format(version=version.number))
    return redirect(page_of(version.style, "versions"))


def _parse_number(written: str) -> int | None:
    """Return the number that was typed; None for anything else, or for more than a column could hold."""
    digits = written.strip()
    return int(digits) if digits.isdecimal() and len(digits) < MAX_DIGITS else None
