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

from adapters.public import usable_styles
from foundation.errors import DomainError
from foundation.request_ids import new_request_id
from inference.api.exchange import STREAM_HEADERS
from inference.contract import http_errors
from inference.contract.requests import parse_request
from inference.proxy.request import relay_request
from inference.quota.admission import Caller
from tenants.public import MemberRequest, limits_of, member_required, studio_key, tenant_of


@require_GET
@member_required
def playground(request: MemberRequest) -> HttpResponse:
    """Show the page: choose a style, write a prompt, read the answer."""
    return render(
        request,
        "inference/playground.html",
        {
            "styles": usable_styles(request.tenant),
            "chosen": request.GET.get("style", ""),
            "max_tokens_limit": limits_of(request.tenant, timezone.now()).max_output_tokens,
            "api_base": f"{settings.SITE_URL}/v1",
        },
    )


@login_required
@require_POST
async def stream(request: HttpRequest) -> HttpResponseBase:
    """Stream one answer as server-sent events; an error before its first bytes is JSON in OpenAI's form."""
    request_id = new_request_id()
    try:
        caller = await sync_to_async(_studio_caller)(request)
        parsed = parse_request("chat", _request_body(request))
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
    tenant = tenant_of(request.user)  # type: ignore[arg-type]
    return Caller(tenant.pk, studio_key(tenant).pk)


def _request_body(request: HttpRequest) -> bytes:
    """Return the form as the body of a chat request."""
    form = request.POST
    body = {
        "model": form.get("model"),
        "messages": [{"role": "user", "content": form.get("prompt", "")}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": _parse_number(form.get("max_tokens", "")),
        "temperature": _parse_number(form.get("temperature", "")),
    }
    return json.dumps(body).encode()


def _parse_number(text: str) -> float | int | str | None:
    """Return the number in a form field; other text as it is: the request contract refuses it by name."""
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text or None
