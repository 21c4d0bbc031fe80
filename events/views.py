"""Pages about webhooks: endpoints, what was sent to them, and what they answered; and the page "Notices"."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.forms import model_to_dict
from django.forms.boundfield import BoundWidget
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.functional import Promise, lazy
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from core.names import validate_text
from core.pages import failures_shown, is_part_wanted, render_page_or_part
from events.models import MAX_URL_LENGTH, EventType, WebhookDelivery, WebhookEndpoint
from events.notices import catalog
from events.notices.catalog import ALWAYS_SENT, CHOOSABLE
from events.webhooks import endpoints
from events.webhooks.delivery import render_event
from tenants import current
from tenants.access import MemberRequest, access_of, member_required
from tenants.action_view import action_view
from tenants.models import Membership
from tenants.roles import Permission, requires

DELIVERIES_SHOWN = 30
RECEIVER = """from standardwebhooks import Webhook

event = Webhook(SECRET).verify(request.body, request.headers)  # raises if the signature is wrong
print(event["type"])"""
REFRESHED_FOR = timedelta(minutes=1)  # the page does not ask again and again for what is tried later
# Which events belong together, by what stands before the dot of their names.
GROUPS = (
    (_("Styles"), {"version", "release", "canary", "style", "erasure"}),
    (_("Trainings and checks"), {"training", "evaluation"}),
    (_("API keys"), {"key"}),
    (_("Usage and billing"), {"usage", "credit", "invoice", "credit_note", "plan", "payment"}),
    (_("Workspace"), {"workspace", "webhook"}),
)


def _describe(event_type: EventType) -> str:
    """Return what happens, with the event's name beside it, in the reader's language."""
    return format_html('{} <span class="mono soft">{}</span>', event_type.heading, event_type.value)


class EndpointForm(forms.Form):
    """Where a workspace wants its events, and which. What an address may be is the action's to say."""

    url = forms.CharField(
        max_length=MAX_URL_LENGTH,
        label=_("Address"),
        help_text=_("A public https URL."),
        widget=forms.URLInput(attrs={"autocomplete": "off", "placeholder": "https://example.com/webhooks"}),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=200,
        required=False,
        validators=[validate_text],
        help_text=_("What the endpoint is for."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": _("Posts to our chat")}),
    )
    event_types = forms.MultipleChoiceField(
        label=_("Events"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[
            (one.value, lazy(_describe, str)(one)) for one in EventType if one not in endpoints.NOT_CHOSEN
        ],
        error_messages={"invalid_choice": _("Choose from the events below.")},
    )

    def groups(self) -> Iterator[tuple[Promise, list[BoundWidget]]]:
        """Return title and checkboxes of each group of events."""
        for title, kinds in GROUPS:
            boxes = self["event_types"]
            yield title, [box for box in boxes if str(box.data["value"]).partition(".")[0] in kinds]


def _endpoints_page(request: MemberRequest, form: EndpointForm | None) -> HttpResponse:
    own = WebhookEndpoint.objects.filter(tenant=request.tenant).order_by("-created_at")
    context = {
        "endpoints": own,
        "disabled_count": own.filter(is_enabled=False).count(),
        "limit": endpoints.MAX_ENDPOINTS,
        "form": form or EndpointForm(),
        "receiver": RECEIVER,
    }
    return render(request, "events/webhooks.html", context)


@never_cache
@action_view(
    Permission.MANAGE_WEBHOOKS, to_read=Permission.READ_WEBHOOKS, form=EndpointForm, page=_endpoints_page
)
def list_endpoints(request: MemberRequest, form: EndpointForm) -> HttpResponse:
    """Show the workspace's endpoints; create one, and show its secret, this once."""
    endpoint, secret = endpoints.create_endpoint(access_of(request), **form.cleaned_data)
    return _endpoint_page(request, endpoint_id=endpoint.pk, secret=secret)


def _endpoint_page(
    request: MemberRequest, form: EndpointForm | None = None, *, endpoint_id: UUID, secret: str = ""
) -> HttpResponse:
    """Show an endpoint; while deliveries are on their way, htmx asks for these alone."""
    endpoint = _own_endpoint(request, endpoint_id)
    deliveries = _deliveries_context(request, endpoint)
    if is_part_wanted(request):
        return render(request, "events/_deliveries.html", {"endpoint": endpoint, **deliveries})
    context = {
        "endpoint": endpoint,
        "form": form or EndpointForm(initial=model_to_dict(endpoint, EndpointForm.base_fields)),
        "secret": secret,
        "secret_lives_hours": int(endpoints.PREVIOUS_SECRET_LIVES.total_seconds() // 3600),
        **deliveries,
    }
    return render(request, "events/webhook.html", context)


@action_view(
    Permission.MANAGE_WEBHOOKS,
    to_read=Permission.READ_WEBHOOKS,
    form=EndpointForm,
    page=_endpoint_page,
    to="events:webhook",
)
def show_endpoint(request: MemberRequest, form: EndpointForm, endpoint_id: UUID) -> str:
    """Show an endpoint with its deliveries; change its address, description or events."""
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
    endpoints.send_test(_own_endpoint(request, endpoint_id), by=access_of(request))
    return gettext("Test event sent. The response will appear below.")


@action_view(Permission.MANAGE_WEBHOOKS, to="events:webhook")
def enable_endpoint(request: MemberRequest, endpoint_id: UUID) -> str:
    endpoints.enable_endpoint(_own_endpoint(request, endpoint_id), by=access_of(request))
    return gettext("Endpoint enabled. It will receive new events.")


@action_view(Permission.MANAGE_WEBHOOKS, to="events:webhook")
def disable_endpoint(request: MemberRequest, endpoint_id: UUID) -> str:
    endpoints.disable_endpoint(_own_endpoint(request, endpoint_id), by=access_of(request))
    return gettext("Endpoint disabled.")


@action_view(Permission.MANAGE_WEBHOOKS, to="events:webhooks")
def delete_endpoint(request: MemberRequest, endpoint_id: UUID) -> str:
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
    sent = _own_delivery(request, delivery_id)
    with failures_shown(request):
        endpoints.redeliver(sent, by=access_of(request))
        messages.success(request, gettext("The event will be sent again with the same id."))
    return redirect("events:webhook", sent.endpoint_id)


def _own_endpoint(request: MemberRequest, endpoint_id: UUID) -> WebhookEndpoint:
    return get_object_or_404(WebhookEndpoint, pk=endpoint_id, tenant=request.tenant)


def _own_delivery(request: MemberRequest, delivery_id: UUID) -> WebhookDelivery:
    own = WebhookDelivery.objects.filter(endpoint__tenant=request.tenant)
    return get_object_or_404(own.select_related("event", "endpoint"), public_id=delivery_id)


def _deliveries_context(request: MemberRequest, endpoint: WebhookEndpoint) -> dict[str, object]:
    """Return one page of deliveries, newest first; `?before=` names the last one of the page before."""
    newest = rows = endpoint.deliveries.select_related("event").order_by("-pk")
    with suppress(ValueError):
        last = newest.filter(public_id=UUID(request.GET.get("before", "")))
        rows = newest.filter(pk__lt=last.values("pk")[:1])
    shown = list(rows[: DELIVERIES_SHOWN + 1])
    soon = newest.pending().filter(next_attempt_at__lt=timezone.now() + REFRESHED_FOR)
    return {
        "deliveries": shown[:DELIVERIES_SHOWN],
        "older_than": shown[-2].public_id if len(shown) > DELIVERIES_SHOWN else None,
        "is_on_its_way": rows is newest and soon.exists(),
    }


class NoticesForm(forms.Form):
    """Which kinds of notices a member gets."""

    kinds = forms.MultipleChoiceField(
        label=_("Email me when"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(kind.value, kind.label) for kind in CHOOSABLE],
        error_messages={"invalid_choice": _("Choose from the notifications below.")},
    )


def _notices_page(request: MemberRequest, form: NoticesForm | None) -> HttpResponse:
    muted = _own_membership(request).muted_notices
    wanted = [kind.value for kind in CHOOSABLE if kind not in muted]
    context = {
        "form": form or NoticesForm(initial={"kinds": wanted}),
        "wanted_count": len(wanted),
        "always": sorted(ALWAYS_SENT),
    }
    return render(request, "events/notices.html", context)


@action_view(
    Permission.READ, to_read=Permission.READ, form=NoticesForm, page=_notices_page, to="events:notices"
)
def choose_notices(request: MemberRequest, form: NoticesForm) -> str:
    """Show and change which notices of the workspace a member gets."""
    catalog.choose_kinds(_own_membership(request), form.cleaned_data["kinds"])
    return gettext("Saved.")


# The token is what lets a person in: mail programs post here without a session (RFC 8058).
@csrf_exempt
@never_cache
@require_http_methods(["GET", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Switch one kind of notices off, or on again. Only a POST changes it: scanners of mail follow links."""
    try:
        membership, kind = catalog.read_token(token)
    except catalog.BadLink as error:
        raise Http404(error.message) from None
    if request.method == "POST":
        catalog.switch(membership, kind, is_wanted=request.POST.get("wanted") == "1")
    context = {
        "kind": kind,
        "workspace": membership.tenant,
        "is_wanted": kind not in membership.muted_notices,
        "is_done": request.method == "POST",
    }
    return render(request, "events/unsubscribe.html", context)


def _own_membership(request: MemberRequest) -> Membership:
    return cast(Membership, current.current_membership(request))  # `member_required` found it
