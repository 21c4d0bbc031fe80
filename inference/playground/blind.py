"""Blind votes: two styles or versions answer one prompt; a person votes before reading which was which."""

import json
from functools import partial
from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from adapters.public import (
    RoundNotFound,
    begin_round,
    cast_vote,
    find_round,
    find_side_model,
    model_choices,
    show_side,
)
from core.errors import DomainError
from inference.facts import JsonObject
from inference.playground.calls import Call, answer_call, open_caller, read_call
from metering.plans import limits_of
from tenants.access import MemberRequest, access_of, member_required
from tenants.models import User
from tenants.roles import Permission, requires

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
