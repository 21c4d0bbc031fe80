"""Pages about webhooks: endpoints, what was sent to them, and what they answered."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from core.errors import DomainError
from core.page_parts import is_part_wanted, render_page_or_part
from tenants.accounts.access import MemberRequest, access_of, member_required
from tenants.accounts.roles import Permission, requires
from tenants.models import WebhookDelivery, WebhookEndpoint
from tenants.models.events import WebhookDeliveryQuerySet
from tenants.views.outcomes import run_action
from tenants.webhooks import endpoints
from tenants.webhooks.delivery import render_event
from tenants.webhooks.forms import EndpointForm

DELIVERIES_SHOWN = 30
RECEIVER = """from standardwebhooks import Webhook

event = Webhook(SECRET).verify(request.body, request.headers)  # raises if the signature is wrong
print(event["type"])"""
REFRESHED_FOR = timedelta(minutes=1)  # the page does not ask again and again for what is tried later


@require_GET
@member_required
@requires(to_read=Permission.READ_WEBHOOKS)
def list_endpoints(request: MemberRequest) -> HttpResponse:
    """Show the workspace's endpoints."""
    return _endpoints_page(request, EndpointForm())


@require_POST
@never_cache
@member_required
@requires(Permission.MANAGE_WEBHOOKS)
def create_endpoint(request: MemberRequest) -> HttpResponse:
    """Create an endpoint and show its secret, this once."""
    access = access_of(request)
    form = EndpointForm(request.POST)
    if form.is_valid():
        try:
            endpoint, secret = endpoints.create_endpoint(access, **form.cleaned_data)
        except DomainError as error:
            form.add_failure(error)
        else:
            return _endpoint_page(request, endpoint, secret=secret)
    return _endpoints_page(request, form, status=400)


@require_GET
@member_required
@requires(to_read=Permission.READ_WEBHOOKS)
def show_endpoint(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    """Show an endpoint and its deliveries; while some are on their way, htmx asks for these alone."""
    endpoint = _own_endpoint(request, endpoint_id)
    if is_part_wanted(request):
        context = {"endpoint": endpoint, **_deliveries_context(request, endpoint)}
        return render(request, "tenants/_deliveries.html", context)
    return _endpoint_page(request, endpoint)


@require_POST
@member_required
@requires(Permission.MANAGE_WEBHOOKS)
def edit_endpoint(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    """Change an endpoint's address, description or events."""
    endpoint = _own_endpoint(request, endpoint_id)
    access = access_of(request)
    form = EndpointForm(request.POST)
    if form.is_valid():
        try:
            endpoints.edit_endpoint(endpoint, by=access, **form.cleaned_data)
        except DomainError as error:
            form.add_failure(error)
        else:
            messages.success(request, gettext("Saved. Applies from the next delivery."))
            return redirect("tenants:webhook", endpoint.pk)
    endpoint.refresh_from_db()
    return _endpoint_page(request, endpoint, form=form, status=400)


@require_POST
@never_cache
@member_required
@requires(Permission.MANAGE_WEBHOOKS)
def rotate_secret(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    """Give an endpoint a new secret and show it, this once."""
    endpoint = _own_endpoint(request, endpoint_id)
    access = access_of(request)
    secret = endpoints.rotate_secret(endpoint, by=access)
    return _endpoint_page(request, endpoint, secret=secret)


@require_POST
@member_required
@requires(Permission.MANAGE_WEBHOOKS)
def send_test(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    """Send a test event."""
    endpoint = _own_endpoint(request, endpoint_id)
    action = partial(endpoints.send_test, endpoint, by=access_of(request))
    return _run(request, endpoint, action, done=gettext("Test event sent. The response will appear below."))


@require_POST
@member_required
@requires(Permission.MANAGE_WEBHOOKS)
def enable_endpoint(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    """Send an endpoint events again."""
    endpoint = _own_endpoint(request, endpoint_id)
    action = partial(endpoints.enable_endpoint, endpoint, by=access_of(request))
    return _run(request, endpoint, action, done=gettext("Endpoint enabled. It will receive new events."))


@require_POST
@member_required
@requires(Permission.MANAGE_WEBHOOKS)
def disable_endpoint(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    """Send an endpoint nothing until it is enabled again."""
    endpoint = _own_endpoint(request, endpoint_id)
    action = partial(endpoints.disable_endpoint, endpoint, by=access_of(request))
    return _run(request, endpoint, action, done=gettext("Endpoint disabled."))


@require_POST
@member_required
@requires(Permission.MANAGE_WEBHOOKS)
def delete_endpoint(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    """Delete an endpoint with its deliveries."""
    endpoint = _own_endpoint(request, endpoint_id)
    endpoints.delete_endpoint(endpoint, by=access_of(request))
    messages.success(request, gettext("{url} was deleted.").format(url=endpoint.url))
    return redirect("tenants:webhooks")


@require_GET
@member_required
@requires(to_read=Permission.READ_WEBHOOKS)
def show_delivery(request: MemberRequest, delivery_id: UUID) -> HttpResponse:
    """Show one delivery: a page, or for htmx what the drawer beside the list shows of it."""
    sent = _own_delivery(request, delivery_id)
    body = json.dumps(json.loads(render_event(sent.event)), indent=2, ensure_ascii=False)
    context = {"delivery": sent, "endpoint": sent.endpoint, "body": body}
    return render_page_or_part(request, "tenants/delivery.html", context)


@require_POST
@member_required
@requires(Permission.MANAGE_WEBHOOKS)
def redeliver(request: MemberRequest, delivery_id: UUID) -> HttpResponse:
    """Send an event again."""
    sent = _own_delivery(request, delivery_id)
    action = partial(endpoints.redeliver, sent, by=access_of(request))
    return _run(
        request, sent.endpoint, action, done=gettext("The event will be sent again with the same id.")
    )


def _own_endpoint(request: MemberRequest, endpoint_id: UUID) -> WebhookEndpoint:
    return get_object_or_404(WebhookEndpoint, pk=endpoint_id, tenant=request.tenant)


def _own_delivery(request: MemberRequest, delivery_id: UUID) -> WebhookDelivery:
    own = WebhookDelivery.objects.filter(endpoint__tenant=request.tenant)
    return get_object_or_404(own.select_related("endpoint", "event"), public_id=delivery_id)


def _run(
    request: MemberRequest, endpoint: WebhookEndpoint, action: Callable[[], object], *, done: str
) -> HttpResponse:
    """Run an action and say how it went, on the endpoint's page."""
    run_action(request, action, done=done)
    return redirect("tenants:webhook", endpoint.pk)


def _endpoints_page(request: MemberRequest, form: EndpointForm, *, status: int = 200) -> HttpResponse:
    own = WebhookEndpoint.objects.filter(tenant=request.tenant).order_by("-created_at")
    context = {
        "endpoints": own,
        "disabled_count": own.filter(is_enabled=False).count(),
        "limit": endpoints.MAX_ENDPOINTS,
        "form": form,
        "receiver": RECEIVER,
    }
    return render(request, "tenants/webhooks.html", context, status=status)


def _endpoint_page(
    request: MemberRequest,
    endpoint: WebhookEndpoint,
    *,
    form: EndpointForm | None = None,
    status: int = 200,
    **extra_context: object,
) -> HttpResponse:
    saved = {"url": endpoint.url, "description": endpoint.description, "event_types": endpoint.event_types}
    context = {
        "endpoint": endpoint,
        "form": form or EndpointForm(initial=saved),
        "secret_lives_hours": int(endpoints.PREVIOUS_SECRET_LIVES.total_seconds() // 3600),
        **_deliveries_context(request, endpoint),
        **extra_context,
    }
    return render(request, "tenants/webhook.html", context, status=status)


def _deliveries_context(request: MemberRequest, endpoint: WebhookEndpoint) -> dict[str, object]:
    """Return one page of deliveries, newest first; `?before=` names the last one of the page before."""
    newest = endpoint.deliveries.select_related("event").order_by("-pk")
    rows = _before(newest, request.GET.get("before", ""))
    soon = newest.pending().filter(next_attempt_at__lt=timezone.now() + REFRESHED_FOR)
    shown = list(rows[: DELIVERIES_SHOWN + 1])
    has_more = len(shown) > DELIVERIES_SHOWN
    shown = shown[:DELIVERIES_SHOWN]
    return {
        "deliveries": shown,
        "older_than": shown[-1].public_id if has_more else None,
        "is_on_its_way": rows is newest and soon.exists(),
    }


def _before(rows: WebhookDeliveryQuerySet, public_id: str) -> WebhookDeliveryQuerySet:
    try:
        last = rows.filter(public_id=UUID(public_id)).first()
    except ValueError:
        return rows
    return rows.filter(pk__lt=last.pk) if last else rows
