"""Releasing: which version answers, trying one on a share of the requests, and ending one."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from adapters.erasure import workflow
from adapters.errors import BadShare
from adapters.models import Status, Style
from adapters.releases import aliases, canary_analysis
from adapters.views.common import own_style, own_version, page_of
from foundation.errors import DomainError
from tenants.public import MemberRequest, member_required

MOVES_SHOWN = 20


def release_of(style: Style) -> dict[str, Any]:
    """Return what only the owner sees of a style's releases."""
    before = aliases.previous_live(style)
    moves = style.releases.select_related("before", "after", "actor")
    return {
        "comparison": canary_analysis.compare_canary(style),
        "before": before if before and before.status == Status.SERVING else None,
        "successor": aliases.successor(style),
        "moves": list(moves[:MOVES_SHOWN]),
    }


@require_POST
@member_required
def promote(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Let a version answer for its style."""
    version = own_version(request, version_id)
    done = f"Version {version.number} answers from now on."
    if version.style.is_reviewed and version.approved_at is None:
        done = f"Version {version.number} answers your workspace; everybody else gets it once it is approved."
    return _told(request, version.style, lambda: aliases.promote(version, request.user), done)


@require_POST
@member_required
def roll_back(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Let the version answer again that answered before."""
    style = own_style(request, style_id)
    done = "Rolled back: the version before answers again."
    return _told(request, style, lambda: aliases.roll_back(style, request.user), done)


@require_POST
@member_required
def begin_canary(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Try a version on a share of its style's requests, or change that share."""
    version, percent = own_version(request, version_id), request.POST.get("percent", "").strip()

    def action() -> None:
        if not (percent.isdecimal() and len(percent) < 3):
            raise BadShare
        aliases.begin_canary(version, int(percent), request.user)

    whose = "of your own requests" if version.style.is_reviewed and not version.approved_at else "of requests"
    return _told(request, version.style, action, f"Version {version.number} answers {percent} % {whose}.")


@require_POST
@member_required
def end_canary(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Let the live version answer everybody again."""
    style = own_style(request, style_id)
    done = "The canary ended; the live version answers everybody."
    return _told(request, style, lambda: aliases.end_canary(style, request.user), done)


@require_GET
@never_cache
@member_required
def canary(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Show how a canary does; the page asks again until it has ended, and is then loaded anew."""
    comparison = canary_analysis.compare_canary(own_style(request, style_id))
    if comparison is None:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "adapters/_release.html", {"comparison": comparison})


@require_POST
@member_required
def retire(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """End a version when its style's short name was typed, and a second word given where others have it."""
    version = own_version(request, version_id)
    if version.status == Status.REJECTED:
        messages.error(request, f"Version {version.number} was rejected and never served.")
    elif request.POST.get("confirm", "").strip() != version.style.slug:
        messages.error(request, f"Nothing was retired. Type {version.style.slug} to retire this version.")
    else:
        action = partial(workflow.retire_unused, version, at_once="at_once" in request.POST)
        return _told(request, version.style, action, f"Version {version.number} is retired.")
    return redirect(page_of(version.style))


def _told(request: MemberRequest, style: Style, action: Callable[[], object], done: str) -> HttpResponse:
    """Do a deed, say how it went, and go back to the style's versions."""
    try:
        action()
        messages.success(request, done)
    except DomainError as error:
        messages.error(request, error.message)
    return redirect(f"{page_of(style)}#versions")
