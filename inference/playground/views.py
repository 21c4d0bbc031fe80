"""The playground: the same admission, proxy and settlement as the API's, with the studio's own key."""

import json

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from adapters.public import ModelChoice, model_choices
from foundation.errors import DomainError
from foundation.request_ids import new_request_id
from inference.api.exchange import STREAM_HEADERS
from inference.contract import http_errors
from inference.contract.requests import parse_request
from inference.errors import BadRequest, TooLarge
from inference.proxy.request import relay_request
from inference.quota.admission import Caller
from tenants.public import (
    MemberRequest,
    NoTenant,
    Permission,
    base_schedule,
    current_membership,
    limits_of,
    member_required,
    name_default_style,
    prices_now,
    require_role,
    requires,
    studio_key,
)

MAX_CALL_BYTES = 256 * 1024  # a long conversation; the context of the model is shorter


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
    base = ModelChoice("base", "Base model, without a style", "", prices_now(base_schedule(now)))
    return render(
        request,
        "inference/playground.html",
        {
            "choices": [*choices, base],
            "has_styles": bool(choices),
            "wanted": json.dumps(wanted),
            "limits": limits_of(request.tenant, now),
            "languages": ("python", "javascript", "curl"),
            "api_base": f"{settings.SITE_URL}/v1",
            "sample_prompt": next((choice.sample_prompt for choice in choices if choice.sample_prompt), ""),
        },
    )


@login_required
@require_POST
async def stream(request: HttpRequest) -> HttpResponseBase:
    """Stream one answer as server-sent events; an error before its first bytes is JSON in OpenAI's form."""
    request_id = new_request_id()
    try:
        caller = await sync_to_async(_studio_caller)(request)
        parsed = parse_request("chat", _read_call(request))
        gateway = request.scope["state"]["gateway"]  # type: ignore[attr-defined]
        answer = await relay_request(gateway, caller, parsed, request_id)
    except DomainError as error:
        status, body, headers = http_errors.error(error)
        return HttpResponse(body, "application/json", status, headers=_decode_headers(headers))
    assert answer.stream is not None
    stream_headers = _decode_headers(STREAM_HEADERS + answer.headers)
    return StreamingHttpResponse(answer.stream, headers=stream_headers | {"x-request-id": request_id})


def _decode_headers(headers: http_errors.Headers) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


def _studio_caller(request: HttpRequest) -> Caller:
    """Return the open workspace's own key as the caller. Raises NoTenant and RoleNotAllowed."""
    membership = current_membership(request)
    if membership is None:
        raise NoTenant
    tenant = membership.tenant
    require_role(tenant, membership.role, Permission.WRITE_TEXT)
    return Caller(tenant.pk, studio_key(tenant).pk)


def _read_call(request: HttpRequest) -> bytes:
    """Return a chat call as the gateway's contract reads it: streamed, with its usage.

    Raises TooLarge, and BadRequest for what is no JSON object; the contract checks the rest.
    """
    if len(request.body) > MAX_CALL_BYTES:
        raise TooLarge(limit_bytes=MAX_CALL_BYTES)
    try:
        call = json.loads(request.body)
    except ValueError:
        call = None
    if not isinstance(call, dict):
        raise BadRequest
    return json.dumps(call | {"stream": True, "stream_options": {"include_usage": True}}).encode()
