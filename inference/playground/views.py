"""The playground and its blind votes: the API's admission, proxy and settlement, by the studio's own key."""

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from adapters.public import (
    ModelChoice,
    RoundNotFound,
    begin_round,
    cast_vote,
    find_round,
    find_side_model,
    model_choices,
    name_default_style,
    show_side,
)
from core.errors import DomainError
from inference.exports import DOCX, DocumentTooLong, write_docx, write_html
from inference.facts import JsonObject
from inference.playground.calls import Call, answer_call, open_caller, read_call, read_continuation
from metering.plans import limits_of
from metering.price_book import base_schedule, prices_now
from tenants.access import MemberRequest, access_of, member_required
from tenants.models import User
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


# Blind votes: two styles or versions answer one prompt; a person votes before reading which was which.

ANSWER_TOKENS = 160
MAX_BODY_BYTES = 10_000


@require_GET
@member_required
@requires(to_read=Permission.WRITE_TEXT)
def show_votes(request: MemberRequest) -> HttpResponse:
    """Show the page: choose two, write a prompt, vote. `?a=` and `?b=` choose."""
    wanted = [name for name in (request.GET.get("a", ""), request.GET.get("b", "")) if name]
    choices = model_choices(request.tenant, wanted)
    known = [choice.model for choice in choices]
    first = _pick(wanted[:1], known)
    second = _pick(wanted[1:], [name for name in known if name != first])
    limits = limits_of(request.tenant, timezone.now())
    context = {
        "choices": choices,
        "first": first,
        "second": second,
        "sides": [("left", gettext("Left")), ("right", gettext("Right"))],
        "max_tokens": min(ANSWER_TOKENS, limits.max_output_tokens),
        "sample_prompt": next((choice.sample_prompt for choice in choices if choice.sample_prompt), ""),
    }
    return render(request, "inference/blind.html", context)


def _pick(wanted: list[str], known: list[str]) -> str:
    """Return the model that was asked for, if it is known, else the first one, or ""."""
    return next((name for name in (*wanted, *known) if name in known), "")


@require_POST
@member_required
@requires(Permission.WRITE_TEXT)
def begin(request: MemberRequest) -> HttpResponse:
    """Begin a round of two models; answer with its id, and not with who is where."""
    sent = _read_json(request)
    try:
        first, second = str(sent.get("first", "")), str(sent.get("second", ""))
        begun = begin_round(request.tenant, request.user, first, second)
    except DomainError as error:
        return _refuse(error)
    return JsonResponse({"round": str(begun.pk)}, status=201)


@login_required
@require_POST
async def stream_side(request: HttpRequest, round_id: UUID, side: str) -> HttpResponseBase:
    """Stream the answer of one side of an open round; it is booked like any other request."""
    return await answer_call(request, partial(_read_side, round_id=round_id, side=side))


@require_POST
@member_required
@requires(Permission.WRITE_TEXT)
def vote(request: MemberRequest, round_id: UUID) -> HttpResponse:
    """Vote on a round; answer with who was where."""
    try:
        held = find_round(request.tenant.pk, request.user, round_id)
        cast_vote(access_of(request), held, str(_read_json(request).get("choice", "")))
    except DomainError as error:
        return _refuse(error)
    left, right = show_side(held.left, request.tenant), show_side(held.right, request.tenant)
    preferred = {"left": left, "right": right}.get(held.choice)
    said = gettext("You saw no difference.")
    if preferred:
        said = gettext("You preferred {name}.").format(name=preferred.name)
    return JsonResponse({"left": left.name, "right": right.name, "said": said})


def _read_side(request: HttpRequest, *, round_id: UUID, side: str) -> Call:
    caller = open_caller(request)
    model = find_side_model(caller.tenant_id, cast(User, request.user), round_id, side)
    return Call(caller, read_call(request, model=model), secret_model=model)


def _read_json(request: HttpRequest) -> JsonObject:
    """Return what a script sent; nothing of what is no JSON object, or is too large for a name."""
    if len(request.body) > MAX_BODY_BYTES:
        return {}
    try:
        sent = json.loads(request.body)
    except (ValueError, RecursionError):
        return {}
    return sent if isinstance(sent, dict) else {}


def _refuse(error: DomainError) -> JsonResponse:
    status = 404 if isinstance(error, RoundNotFound) else 409
    return JsonResponse({"errors": {"__all__": [error.message]}}, status=status)
