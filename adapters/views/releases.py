"""Releases: which version answers, a canary on a share of the requests, and the end of a version."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from adapters import actions
from adapters.errors import BadShare, BadVoteCount
from adapters.models import AdapterVersion, Status, Style
from adapters.releases import aliases, canary_analysis, votes
from adapters.views.common import own_style, own_version, page_of, run_action
from tenants.public import MemberRequest, Permission, access_of, member_required, requires

MOVES_SHOWN = 20
VERSIONS = "versions"


def release_context(style: Style, versions: Sequence[AdapterVersion]) -> dict[str, Any]:
    """Return what only the owner sees of a style's releases and of those versions."""
    previous = aliases.previous_live(style)
    can_roll_back = previous is not None and previous.status == Status.SERVING
    moves = style.releases.select_related("before", "after", "actor", "api_key")
    return {
        "comparison": canary_analysis.compare_canary(style),
        "before": previous if can_roll_back else None,
        "successor": aliases.successor_beside(style, previous),
        "moves": list(moves[:MOVES_SHOWN]),
        "standings": votes.standings_of(style),
        "votes_missing": votes.missing_votes(style, versions),
    }


@require_POST
@member_required
@requires(Permission.CHANGE_STYLES)
def promote(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Let a version answer for its style."""
    version = own_version(request, version_id)
    done = gettext("Version {version} is now live.").format(version=version.number)
    if version.style.is_reviewed and version.approved_at is None:
        done = gettext(
            "Version {version} is now live in your workspace. Everyone else gets it once it's approved."
        ).format(version=version.number)
    without_votes = "without_votes" in request.POST

    def promote() -> None:
        # Another tab, or another person, was first: nothing changed, and the message says so.
        if actions.promote_version(access_of(request), version, without_votes=without_votes):
            messages.success(request, done)
        else:
            messages.info(
                request, gettext("Version {version} is already live.").format(version=version.number)
            )

    return run_action(request, version.style, promote, tab=VERSIONS)


@require_POST
@member_required
@requires(Permission.CHANGE_STYLES)
def ask_for_votes(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Set how many blind votes a promotion of an own style asks for."""
    style = own_style(request, style_id)
    written = request.POST.get("votes", "").strip()

    def ask_for_votes() -> None:
        if not (written.isdecimal() and len(written) < 5):
            raise BadVoteCount(limit=votes.MOST_ASKED_FOR)
        actions.ask_for_votes(access_of(request), style, int(written))

    count = int(written) if written.isdecimal() and len(written) < 10 else 0
    done = ngettext(
        "Promotions now require {count} blind vote.",
        "Promotions now require {count} blind votes.",
        count,
    ).format(count=count)
    if not written.strip("0"):
        done = gettext("Promotions no longer require blind votes.")
    return run_action(request, style, ask_for_votes, done=done, tab="settings")


@require_POST
@member_required
@requires(Permission.CHANGE_STYLES)
def roll_back(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Let the version that answered before answer again."""
    style = own_style(request, style_id)
    done = gettext("Rolled back. The previous version is live again.")
    live = request.POST.get("live", "")
    seen_live = int(live) if live.isdecimal() and len(live) < 10 else None
    action = partial(actions.roll_back, access_of(request), style, seen_live=seen_live)
    return run_action(request, style, action, done=done, tab=VERSIONS)


@require_POST
@member_required
@requires(Permission.CHANGE_STYLES)
def begin_canary(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Try a version on a share of its style's requests, or change that share."""
    version = own_version(request, version_id)
    percent = request.POST.get("percent", "").strip()

    def begin_canary() -> None:
        if not (percent.isdecimal() and len(percent) < 3):
            raise BadShare
        actions.begin_canary(access_of(request), version, int(percent))

    answers_owner_only = version.style.is_reviewed and not version.approved_at
    done = gettext("Version {version} now gets {percent}% of requests.")
    if answers_owner_only:
        done = gettext("Version {version} now gets {percent}% of your own requests.")
    done = done.format(version=version.number, percent=percent)
    return run_action(request, version.style, begin_canary, done=done, tab=VERSIONS)


@require_POST
@member_required
@requires(Permission.CHANGE_STYLES)
def end_canary(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Let the live version answer everybody again."""
    style = own_style(request, style_id)
    done = gettext("The canary has ended. All requests go to the live version.")
    action = partial(actions.end_canary, access_of(request), style)
    return run_action(request, style, action, done=done, tab=VERSIONS)


@require_GET
@never_cache
@member_required
def canary(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Show how a canary does; the page asks again until the canary has ended, and then reloads."""
    comparison = canary_analysis.compare_canary(own_style(request, style_id))
    if comparison is None:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "adapters/_release.html", {"comparison": comparison})


@require_POST
@member_required
@requires(Permission.CHANGE_STYLES)
def retire(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Retire a version when its style's short name was typed, and `at_once` ticked where others have it."""
    version = own_version(request, version_id)
    if request.POST.get("confirm", "").strip() != version.style.slug:
        messages.error(
            request,
            gettext("The version was not retired. Type {style} to retire it.").format(
                style=version.style.slug
            ),
        )
    else:
        at_once = "at_once" in request.POST
        action = partial(actions.retire_version, access_of(request), version, at_once=at_once)
        done = gettext("Version {version} was retired.").format(version=version.number)
        return run_action(request, version.style, action, done=done, tab=VERSIONS)
    return redirect(page_of(version.style, VERSIONS))
