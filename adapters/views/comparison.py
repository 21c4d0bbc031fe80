"""Compare two versions of a style on the owner's own prompts, before one of them is promoted."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from adapters import actions
from adapters.errors import PromptTooLong, TooManyPrompts
from adapters.models import Style
from adapters.quality import samples
from adapters.releases import diff, pairs
from adapters.views.common import changes_styles
from core.money import usd
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
    style = _own_style(request, owner, slug)
    if request.method == "GET":
        return _render_page(request, style, text=style.test_prompts)
    text = request.POST.get("prompts", "")
    try:
        prompts = diff.parse_prompts(text)
    except (TooManyPrompts, PromptTooLong) as error:
        return _render_page(request, style, text=text, fault=error.message)
    actions.set_test_prompts(access_of(request), style, prompts)
    return redirect(request.get_full_path())


@changes_styles
def answers(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show what differs between the answers that the page has collected."""
    style = _own_style(request, owner, slug)
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
        "serving": pairs.serving_versions(style),
        "pairs": [{"prompt": prompt} for prompt in prompts],
        "written": text or "\n".join(prompts),
        "fault": fault,
        "answer_tokens": ANSWER_TOKENS,
        "input_price": usd(limits.input_nanousd * MILLION),
        "output_price": usd(limits.output_nanousd * MILLION),
    }
    pair = _chosen_pair(request, style)
    if pair:
        context["first"], context["second"] = pair
    return render(request, "adapters/compare.html", context, status=422 if fault else 200)


def _own_style(request: MemberRequest, owner: str, slug: str) -> Style:
    styles = Style.objects.filter(retired_at=None).select_related("owner", "live_version")
    return get_object_or_404(styles, owner=request.tenant, owner__slug=owner, slug=slug)


def _chosen_pair(request: MemberRequest, style: Style) -> pairs.Pair | None:
    return pairs.choose_pair(
        style,
        pairs.serving_versions(style),
        first_number=request.GET.get("a", ""),
        second_number=request.GET.get("b", ""),
    )
