"""The first minute: a person tries public styles on a prompt of their own, and chooses one."""

import json
from base64 import urlsafe_b64encode
from uuid import UUID

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from adapters.public import choose_style, engine_readiness, find_to_try, styles_to_try, try_styles
from keys.snippets import FIRST_PROMPT
from tenants.access import MemberRequest, access_of, member_required
from tenants.action_view import action_view
from tenants.roles import Permission, requires

TRIED_STYLES = "tried_styles"  # a key of the session: what was selected to be tried, and nothing else
MAX_PROMPT_CHARACTERS = 2_000  # of the address that carries it on
ANSWER_TOKENS = 120


@require_GET
@member_required
@requires(to_read=Permission.CHANGE_STYLES)
def show_welcome(request: MemberRequest) -> HttpResponse:
    """Show a few public styles beside each other, and a prompt for all of them."""
    styles = styles_to_try(request.tenant)
    context = {
        "styles": styles,
        "engine": engine_readiness(),
        "prompt": next((style.sample_prompt for style in styles if style.sample_prompt), FIRST_PROMPT),
        "max_tokens": ANSWER_TOKENS,
        "max_prompt": MAX_PROMPT_CHARACTERS,
    }
    return render(request, "welcome.html", context)


@require_POST
@member_required
@requires(Permission.CHANGE_STYLES)
def try_all(request: MemberRequest) -> JsonResponse:
    """Select the styles of the page, so that they answer. Choosing one unselects the others."""
    new = try_styles(access_of(request), styles_to_try(request.tenant))
    tried = set(request.session.get(TRIED_STYLES, []))
    tried |= {str(style.pk) for style in new}
    request.session[TRIED_STYLES] = sorted(tried)
    return JsonResponse({"selected": len(new)})


@action_view(Permission.CHANGE_STYLES, to="welcome")
def choose(request: MemberRequest, style_id: UUID) -> HttpResponse:
    """Select one style and lead to the playground with it and the prompt."""
    style = find_to_try(request.tenant, style_id)
    if style is None:
        raise Http404
    tried = [UUID(pk) for pk in request.session.pop(TRIED_STYLES, [])]
    choose_style(access_of(request), style, tried)
    prompt = request.POST.get("prompt", "").replace("\0", "").strip()[:MAX_PROMPT_CHARACTERS]
    return redirect(_playground_with(style.model_name, prompt))


def _playground_with(model: str, prompt: str) -> str:
    """Return the playground's address with a style and a prompt, as its own links carry them."""
    page = f"{reverse('inference:playground')}?style={model}"
    if not prompt:
        return page
    asked = json.dumps({"models": [model], "prompt": prompt}).encode()
    return f"{page}#try={urlsafe_b64encode(asked).decode().rstrip('=')}"
