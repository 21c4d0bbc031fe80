"""Pages about webhooks: endpoints, what was sent to them, and what they answered."""

import json
from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core.page_failures import failures_shown
from core.page_parts import is_part_wanted, render_page_or_part
from events.models import WebhookDelivery, WebhookEndpoint
from events.models.events import WebhookDeliveryQuerySet
from events.webhooks import endpoints
from events.webhooks.delivery import render_event
from events.webhooks.forms import EndpointForm
from tenants.access import MemberRequest, access_of, member_required
from tenants.action_view import action_view
from tenants.roles import Permission, requires

DELIVERIES_SHOWN = 30
RECEIVER = """from standardwebhooks import Webhook

event = Webhook(SECRET).verify(request.body, request.headers)  # raises if the signature is wrong
print(event["type"])"""
REFRESHED_FOR = timedelta(minutes=1)  # the page does not ask again and again for what is tried later


def _endpoints_page(request: MemberRequest, form: EndpointForm | None = None) -> HttpResponse:
    own = WebhookEndpoint.objects.filter(tenant=request.tenant).order_by("-created_at")
    context = {
        "endpoints": own,
        "disabled_count": own.filter(is_enabled=False).count(),
        "limit": endpoints.MAX_ENDPOINTS,
        "form": form or EndpointForm(),
        "receiver": RECEIVER,
    }
    return render(request, "events/webhooks.html", context)


@require_GET
@member_required
@requires(to_read=Permission.READ_WEBHOOKS)
def list_endpoints(request: MemberRequest) -> HttpResponse:
    """Show the workspace's endpoints."""
    return _endpoints_page(request)


@never_cache
@action_view(Permission.MANAGE_WEBHOOKS, form=EndpointForm, page=_endpoints_page)
def create_endpoint(request: MemberRequest, form: EndpointForm) -> HttpResponse:
    """Create an endpoint and show its secret, this once."""
    endpoint, secret = endpoints.create_endpoint(access_of(request), **form.cleaned_data)
    return _endpoint_page(request, endpoint_id=endpoint.pk, secret=secret)


def _endpoint_page(
    request: MemberRequest, form: EndpointForm | None = None, *, endpoint_id: UUID, secret: str = ""
) -> HttpResponse:
    """Show an endpoint, with its new secret if it has just got one; its form may be wrong."""
    endpoint = _own_endpoint(request, endpoint_id)
    saved = {"url": endpoint.url, "description": endpoint.description, "event_types": endpoint.event_types}
    context = {
        "endpoint": endpoint,
        "form": form or EndpointForm(initial=saved),
        "secret": secret,
        "secret_lives_hours": int(endpoints.PREVIOUS_SECRET_LIVES.total_seconds() // 3600),
        **_deliveries_context(request, endpoint),
    }
    return render(request, "events/webhook.html", context)


@require_GET
@member_required
@requires(to_read=Permission.READ_WEBHOOKS)
def show_endpoint(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    """Show an endpoint and its deliveries; while some are on their way, htmx asks for these alone."""
    if is_part_wanted(request):
        endpoint = _own_endpoint(request, endpoint_id)
        context = {"endpoint": endpoint, **_deliveries_context(request, endpoint)}
        return render(request, "events/_deliveries.html", context)
    return _endpoint_page(request, endpoint_id=endpoint_id)


@action_view(Permission.MANAGE_WEBHOOKS, form=EndpointForm, page=_endpoint_page, to="events:webhook")
def edit_endpoint(request: MemberRequest, form: EndpointForm, endpoint_id: UUID) -> str:
    """Change an endpoint's address, description or events."""
    endpoint = _own_endpoint(request, endpoint_id)
    endpoints.edit_endpoint(endpoint, by=access_of(request), **form.cleaned_data)
    return gettext("Saved. Applies from the next delivery.")


@never_cache
@action_view(Permission.MANAGE_WEBHOOKS, to="events:webhook")
def rotate_secret(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    """Give an endpoint a new secret and show it, this once."""
    secret = endpoints.rotate_secret(_own_endpoint(request, endpoint_id), by=access_of(request))
    return _endpoint_page(request, endpoint_id=endpoint_id, secret=secret)


@action_view(Permission.MANAGE_WEBHOOKS, to="events:webhook")
def send_test(request: MemberRequest, endpoint_id: UUID) -> str:
    """Send a test event."""
    endpoints.send_test(_own_endpoint(request, endpoint_id), by=access_of(request))
    return gettext("Test event sent. The response will appear below.")


@action_view(Permission.MANAGE_WEBHOOKS, to="events:webhook")
def enable_endpoint(request: MemberRequest, endpoint_id: UUID) -> str:
    """Send an endpoint events again."""
    endpoints.enable_endpoint(_own_endpoint(request, endpoint_id), by=access_of(request))
    return gettext("Endpoint enabled. It will receive new events.")


@action_view(Permission.MANAGE_WEBHOOKS, to="events:webhook")
def disable_endpoint(request: MemberRequest, endpoint_id: UUID) -> str:
    """Send an endpoint nothing until it is enabled again."""
    endpoints.disable_endpoint(_own_endpoint(request, endpoint_id), by=access_of(request))
    return gettext("Endpoint disabled.")


@action_view(Permission.MANAGE_WEBHOOKS, to="events:webhooks")
def delete_endpoint(request: MemberRequest, endpoint_id: UUID) -> str:
    """Delete an endpoint with its deliveries."""
    endpoint = _own_endpoint(request, endpoint_id)
    endpoints.delete_endpoint(endpoint, by=access_of(request))
    return gettext("{url} was deleted.").format(url=endpoint.url)


@require_GET
@member_required
@requires(to_read=Permission.READ_WEBHOOKS)
def show_delivery(request: MemberRequest, delivery_id: UUID) -> HttpResponse:
    """Show one delivery: a page, or for htmx what the drawer beside the list shows of it."""
    sent = _own_delivery(request, delivery_id)
    body = json.dumps(json.loads(render_event(sent.event)), indent=2, ensure_ascii=False)
    context = {"delivery": sent, "endpoint": sent.endpoint, "body": body}
    return render_page_or_part(request, "events/delivery.html", context)


@action_view(Permission.MANAGE_WEBHOOKS)
def redeliver(request: MemberRequest, delivery_id: UUID) -> HttpResponse:
    """Send an event again."""
    sent = _own_delivery(request, delivery_id)
    with failures_shown(request):
        endpoints.redeliver(sent, by=access_of(request))
        messages.success(request, gettext("The event will be sent again with the same id."))
    return redirect("events:webhook", sent.endpoint_id)


def _own_endpoint(request: MemberRequest, endpoint_id: UUID) -> WebhookEndpoint:
    return get_object_or_404(WebhookEndpoint, pk=endpoint_id, tenant=request.tenant)


def _own_delivery(request: MemberRequest, delivery_id: UUID) -> WebhookDelivery:
    own = WebhookDelivery.objects.filter(endpoint__tenant=request.tenant)
    return get_object_or_404(own.select_related("endpoint", "event"), public_id=delivery_id)


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
