"""The playground: the same admission, relay and metering as the API, on the studio's own key."""

import json

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST

from adapters.public import usable_styles
from foundation.errors import DomainError
from inference.api.app import STREAM_HEADERS
from inference.contract import http_errors
from inference.contract.requests import parse_request
from inference.proxy.request import new_request_id, relay_request
from inference.quota.admission import Caller
from tenants.public import MemberRequest, limits_of, member_required, studio_key, tenant_of


@member_required
def playground(request: MemberRequest) -> HttpResponse:
    """Show the desk: a style, a prompt, and what it writes."""
    styles = usable_styles(request.tenant)
    return render(
        request,
        "inference/playground.html",
        {
            "styles": styles,
            "chosen": request.GET.get("style", ""),
            "max_tokens_limit": limits_of(request.tenant, timezone.now()).max_output_tokens,
            "api_base": f"{settings.SITE_URL}/v1",
        },
    )


@login_required
@require_POST
async def stream(request: HttpRequest) -> HttpResponseBase:
    """Stream one answer as server-sent events; an error before its first bytes is OpenAI's error JSON."""
    request_id = new_request_id()
    try:
        caller = await sync_to_async(_studio_caller)(request)
        parsed = parse_request("chat", _body(request))
        answer = await relay_request(request.scope["state"]["gateway"], caller, parsed, request_id)  # type: ignore[attr-defined]
    except DomainError as error:
        status, _ = http_errors.status_and_type(error)
        return HttpResponse(
            http_errors.body(error), "application/json", status, headers=_written(http_errors.headers(error))
        )
    assert answer.stream is not None
    headers = _written(STREAM_HEADERS + answer.headers)
    return StreamingHttpResponse(answer.stream, headers=headers | {"x-request-id": request_id})


def _written(headers: http_errors.Headers) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


def _studio_caller(request: HttpRequest) -> Caller:
    tenant = tenant_of(request.user)  # type: ignore[arg-type]
    return Caller(tenant.pk, studio_key(tenant).pk)


def _body(request: HttpRequest) -> bytes:
    post = request.POST
    numbers = {name: _number(post.get(name, "")) for name in ("max_tokens", "temperature")}
    messages = [{"role": "user", "content": post.get("prompt", "")}]
    body = {"model": post.get("model"), "messages": messages, "stream": True, **numbers}
    return json.dumps(body | {"stream_options": {"include_usage": True}}).encode()


def _number(written: str) -> float | int | str | None:
    """Return the number in a form field; what is no number goes on as it is, to be refused by name."""
    try:
        return int(written) if written.isdigit() else float(written)
    except ValueError:
        return written or None
