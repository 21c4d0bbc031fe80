"""The playground: the same admission, proxy and settlement as the API's, with the studio's own key."""

import json
from dataclasses import dataclass, replace

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from adapters.public import ModelChoice, model_choices, name_default_style
from inference.exports import DOCX, DocumentTooLong, write_docx, write_html
from inference.playground.calls import Call, answer_call, open_caller, read_call, read_continuation
from metering.plans import limits_of
from metering.price_book import base_schedule, prices_now
from tenants.access import MemberRequest, member_required
from tenants.roles import Permission, requires


@dataclass(frozen=True)
class Length:
    """How long an answer is to be, as a writer says it.

    One of `least_words` goes on, in further requests, until it has as many.
    """

    label: Promise
    tokens: int
    words: int
    least_words: int = 0


WRITERS = {"docx": (write_docx, DOCX), "html": (write_html, "text/html; charset=utf-8")}
LENGTHS = (
    Length(_("A paragraph"), tokens=160, words=100),
    Length(_("Half a page"), tokens=350, words=230, least_words=190),
    Length(_("A page"), tokens=700, words=460, least_words=400),
)


@require_GET
@member_required
@requires(to_read=Permission.WRITE_TEXT)
def playground(request: MemberRequest) -> HttpResponse:
    """Show the page: choose up to four styles, write a prompt, read the answers beside each other.

    `?style=` names what to begin with; it may stand there several times.
    """
    wanted = request.GET.getlist("style")
    default_style = name_default_style(request.tenant)
    if default_style and not wanted:
        wanted = [default_style]
    now = timezone.now()
    choices = model_choices(request.tenant, wanted)
    base = ModelChoice("base", gettext("Base model (no style)"), "", prices_now(base_schedule(now)))
    limits = limits_of(request.tenant, now)
    return render(
        request,
        "inference/playground.html",
        {
            "choices": [*choices, base],
            "has_styles": bool(choices),
            "wanted": json.dumps(wanted),
            "limits": limits,
            "lengths": [
                replace(length, tokens=min(length.tokens, limits.max_output_tokens)) for length in LENGTHS
            ],
            "is_short": limits.max_output_tokens < LENGTHS[-1].tokens,
            "languages": ("python", "javascript", "curl"),
            "api_base": f"{settings.SITE_URL}/v1",
            "sample_prompt": next((choice.sample_prompt for choice in choices if choice.sample_prompt), ""),
        },
    )


@require_POST
@member_required
@requires(Permission.WRITE_TEXT)
def download(request: MemberRequest, suffix: str) -> HttpResponse:
    """Send the text of a form as a file, a Word document or a web page; nothing is stored."""
    write, content_type = WRITERS[suffix]
    try:
        content = write(request.POST.get("text", ""))
    except DocumentTooLong as error:
        raise BadRequest(error.message) from error
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="polyscribe.{suffix}"'
    return answer


@login_required
@require_POST
async def stream(request: HttpRequest) -> HttpResponseBase:
    """Stream one answer."""
    return await answer_call(request, _read_call)


def _read_call(request: HttpRequest) -> Call:
    kind, body = read_continuation(read_call(request))
    return Call(open_caller(request), body, kind=kind)
