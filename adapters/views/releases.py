"""Releases: which version answers, a canary on a share of the requests, and the end of a version."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from adapters import actions
from adapters.catalog import selection
from adapters.errors import BadShare, PromptTooLong, TooManyPrompts
from adapters.models import Status, Style
from adapters.quality import samples
from adapters.releases import aliases, canary_analysis, diff
from adapters.views.common import changes_styles, find_style, own_style, own_version, page_of
from core.money import usd
from core.pages import failures_shown
from metering.plans import limits_of
from tenants.access import MemberRequest, access_of, member_required
from tenants.roles import Permission, requires

MILLION = 1_000_000
ANSWER_TOKENS = 120


@require_http_methods(["GET", "POST"])
@member_required
@requires(Permission.CHANGE_STYLES)
def compare(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show two serving versions side by side; a POST saves the prompts for both."""
    style = find_style(request, owner, slug, is_own=True)
    if request.method == "GET":
        return _render_page(request, style, text=style.test_prompts)
    text = request.POST.get("prompts", "")
    try:
        prompts = diff.parse_prompts(text)
    except (TooManyPrompts, PromptTooLong) as error:
        return _render_page(request, style, text=text, fault=error.message)
    selection.set_test_prompts(access_of(request), style, prompts)
    return redirect(request.get_full_path())


@changes_styles
def answers(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show what differs between the answers that the page has collected."""
    style = find_style(request, owner, slug, is_own=True)
    pair = _chosen_pair(request, style)
    prompts = _posted_texts(request, "prompt")
    first_answers = _posted_texts(request, "first")
    second_answers = _posted_texts(request, "second")
    is_complete = len(prompts) == len(first_answers) == len(second_answers)
    if pair is None or not is_complete or not 0 < len(prompts) <= diff.PROMPTS_MAX:
        raise Http404
    first, second = pair
    numbers = (first.number, second.number)
    comparison = diff.compare_answers(prompts, first_answers, second_answers, numbers=numbers)
    context = {
        "style": style,
        "first": first,
        "second": second,
        "comparison": comparison,
        "pairs": comparison.pairs,
    }
    return render(request, "adapters/_comparison.html", context)


def _posted_texts(request: MemberRequest, name: str) -> list[str]:
    return [text[: diff.ANSWER_CHARACTERS] for text in request.POST.getlist(name)]


def _render_page(request: MemberRequest, style: Style, *, text: str, fault: str = "") -> HttpResponse:
    prompts = diff.parse_prompts(style.test_prompts) or samples.prompts_of(style)
    limits = limits_of(request.tenant, timezone.now())
    context: dict[str, Any] = {
        "style": style,
        "serving": diff.serving_versions(style),
        "pairs": [{"prompt": prompt} for prompt in prompts],
        "written": text or "\n".join(prompts),
        "fault": fault,
        "answer_tokens": ANSWER_TOKENS,
        "input_price": usd(limits.prices.input_nanousd * MILLION),
        "output_price": usd(limits.prices.output_nanousd * MILLION),
    }
    pair = _chosen_pair(request, style)
    if pair:
        context["first"], context["second"] = pair
    return render(request, "adapters/compare.html", context, status=422 if fault else 200)


def _chosen_pair(request: MemberRequest, style: Style) -> diff.VersionPair | None:
    return diff.choose_pair(
        style,
        diff.serving_versions(style),
        first_number=request.GET.get("a", ""),
        second_number=request.GET.get("b", ""),
    )


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
        is_new = aliases.promote(access_of(request), version)
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
        aliases.roll_back(access_of(request), style, seen_live=seen_live)
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
        aliases.begin_canary(access_of(request), version, percent)
        messages.success(request, done.format(version=version.number, percent=percent))
    return redirect(page_of(version.style, "versions"))


@changes_styles
def end_canary(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Let the live version answer everybody again."""
    style = own_style(request, style_id)
    with failures_shown(request):
        aliases.end_canary(access_of(request), style)
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
