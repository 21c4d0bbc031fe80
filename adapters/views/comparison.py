"""Comparing two versions of a style on the owner's own prompts, before one of them is promoted."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from adapters.errors import PromptTooLong, TooManyPrompts
from adapters.models import AdapterVersion, Status, Style
from adapters.quality import samples
from adapters.releases import diff
from foundation.money import usd
from tenants.public import MemberRequest, limits_of, member_required

MILLION = 1_000_000
ANSWER_TOKENS = 120

type Two = tuple[AdapterVersion, AdapterVersion]


@require_http_methods(["GET", "POST"])
@member_required
def compare(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show two serving versions side by side; a POST keeps the prompts that both are asked."""
    style = _own_style(request, owner, slug)
    if request.method == "GET":
        return _page(request, style, written=style.test_prompts)
    written = request.POST.get("prompts", "")
    try:
        kept = diff.parse_prompts(written)
    except (TooManyPrompts, PromptTooLong) as error:
        return _page(request, style, written=written, fault=error.message)
    Style.objects.filter(pk=style.pk).update(test_prompts="\n".join(kept))
    return redirect(request.get_full_path())


@require_POST
@member_required
def answers(request: MemberRequest, owner: str, slug: str) -> HttpResponse:
    """Show what differs between the answers that the page has collected."""
    style = _own_style(request, owner, slug)
    two = _chosen(request, style)
    posted = (request.POST.getlist(name) for name in ("prompt", "first", "second"))
    rows = [[text[: diff.ANSWER_CHARACTERS] for text in texts] for texts in posted]
    if two is None or not 0 < len(rows[0]) <= diff.PROMPTS_MAX or len({*map(len, rows)}) > 1:
        raise Http404
    comparison = diff.compare_answers(*rows, numbers=(two[0].number, two[1].number))
    context = {"style": style, "first": two[0], "second": two[1], "comparison": comparison}
    return render(request, "adapters/_comparison.html", context | {"pairs": comparison.pairs})


def _page(request: MemberRequest, style: Style, *, written: str, fault: str = "") -> HttpResponse:
    prompts = diff.parse_prompts(style.test_prompts) or samples.prompts_of(style)
    limits = limits_of(request.tenant, timezone.now())
    two = _chosen(request, style)
    context: dict[str, Any] = {
        "style": style,
        "serving": _serving(style),
        "pairs": [{"prompt": prompt} for prompt in prompts],
        "written": written or "\n".join(prompts),
        "fault": fault,
        "answer_tokens": ANSWER_TOKENS,
        "input_price": usd(limits.input_nanousd * MILLION),
        "output_price": usd(limits.output_nanousd * MILLION),
    }
    context |= {"first": two[0], "second": two[1]} if two else {}
    return render(request, "adapters/compare.html", context, status=422 if fault else 200)


def _own_style(request: MemberRequest, owner: str, slug: str) -> Style:
    styles = Style.objects.filter(retired_at=None).select_related("owner", "live_version")
    return get_object_or_404(styles, owner=request.tenant, owner__slug=owner, slug=slug)


def _serving(style: Style) -> list[AdapterVersion]:
    return list(style.versions.filter(status=Status.SERVING).order_by("-number"))


def _chosen(request: MemberRequest, style: Style) -> Two | None:
    """Return the two versions that the address asks for, else the live one and the newest other one."""
    serving = _serving(style)
    asked = {str(version.number): version for version in serving}
    first = asked.get(request.GET.get("a", "")) or style.live_version
    others = [version for version in serving if version != first]
    second = asked.get(request.GET.get("b", ""))
    if first is None or not others:
        return None
    return first, second if second in others and second else others[0]
