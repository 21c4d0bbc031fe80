"""Webhooks: endpoints, what was sent to them, and the events themselves."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers

from core.rest.bodies import StrictSerializer, TextField, choice_query
from core.rest.objects import MessageText
from events.models import MAX_URL_LENGTH, EventType, OutboxEvent, WebhookDelivery, WebhookEndpoint
from events.outbox import payload_of
from events.webhooks import endpoints
from tenants.api.viewsets import WorkspaceViewSet, post
from tenants.models import Scope

type Secretive = tuple[WebhookEndpoint, dict[str, str]]  # with the secret, which is shown once


class EndpointObject(serializers.Serializer[WebhookEndpoint]):
    """A webhook endpoint of the workspace."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="webhook_endpoint", read_only=True)
    url = serializers.CharField(initial="https://example.com/webhooks")
    description = serializers.CharField(allow_blank=True, initial="Posts to our chat")
    event_types = serializers.ListField(
        child=serializers.CharField(),
        help_text="Empty for all types.",
        initial=["version.serving", "canary.ended"],
    )
    is_enabled = serializers.BooleanField(initial=True)
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_reason = MessageText()
    failing_since = serializers.DateTimeField(allow_null=True)
    previous_secret_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class DeliveryObject(serializers.Serializer[WebhookDelivery]):
    """The delivery of an event to an endpoint."""

    example = dict(attempted_at="2026-11-26T09:31:01Z", next_attempt_at=None)

    id = serializers.UUIDField(source="public_id")
    object = serializers.CharField(default="webhook_delivery", read_only=True)
    event = serializers.UUIDField(source="event_id", help_text="Id of the event.")
    type = serializers.CharField(source="event.type", help_text="Type of the event.", initial="canary.ended")
    status = serializers.ChoiceField(WebhookDelivery.Status.choices, initial="delivered")
    attempts = serializers.IntegerField(help_text="Number of attempts so far.", initial=1)
    status_code = serializers.IntegerField(allow_null=True, initial=200)
    latency_ms = serializers.IntegerField(allow_null=True, initial=84)
    answer = serializers.CharField(
        allow_blank=True, help_text="The first 2 KB of the last response.", initial="ok"
    )
    failure = MessageText()
    created_at = serializers.DateTimeField()
    attempted_at = serializers.DateTimeField(allow_null=True, help_text="When it was last attempted.")
    next_attempt_at = serializers.SerializerMethodField()

    def get_next_attempt_at(self, delivery: WebhookDelivery) -> str | None:
        """Return when it is tried next; null: it is over."""
        if delivery.status != WebhookDelivery.Status.PENDING:
            return None
        return str(serializers.DateTimeField().to_representation(delivery.next_attempt_at))


class EndpointWithSecret(EndpointObject):
    """An endpoint with its secret, which is shown only once."""

    secret = serializers.CharField(initial="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


class EventObject(serializers.Serializer[Any]):
    """An event, as sent to webhooks."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="event", read_only=True)
    type = serializers.CharField(help_text="Type of the event.", initial="key.revoked")
    timestamp = serializers.DateTimeField(help_text="When it happened.")
    data = serializers.DictField(
        help_text="The object the event is about, and related data.",
        initial={"object": {"object": "api_key", "name": "newsletter"}},
    )  # type: ignore[assignment]


class EndpointBody(StrictSerializer):
    """The fields of an endpoint that can be updated."""

    example = dict(event_types=["version.serving", "canary.ended"])

    url = TextField(max_length=MAX_URL_LENGTH, required=False)
    description = TextField(max_length=200, allow_blank=True, required=False)
    event_types = serializers.ListField(child=TextField(max_length=40), max_length=100, required=False)


class NewEndpointBody(EndpointBody):
    """A new endpoint."""

    example = dict(url="https://example.com/webhooks", event_types=["version.serving"])

    url = TextField(max_length=MAX_URL_LENGTH)


class EventsQuery(StrictSerializer):
    """Which events."""

    type = serializers.ChoiceField(EventType.choices, required=False, help_text="Filter by event type.")
    since = serializers.DateTimeField(
        source="created_at__gte", required=False, help_text="Events from this time on."
    )


class EndpointViewSet(WorkspaceViewSet):
    """Endpoints."""

    tag, noun, nouns = "webhooks", "webhook endpoint", "webhook endpoints"
    scope = Scope.WEBHOOKS_WRITE
    reads = {"list": "Return the endpoints, newest first.", "retrieve": "Return an endpoint."}
    queryset = WebhookEndpoint.objects.all()
    serializer_class = EndpointObject
    created_class = EndpointWithSecret
    new_body = NewEndpointBody
    body = EndpointBody
    lookup_url_kwarg = "endpoint_id"

    def create(self, body: dict[str, Any]) -> Secretive:
        """Return a new endpoint with its secret, which is shown only once."""
        endpoint, secret = endpoints.create_endpoint(self.access, **body)
        return endpoint, {"secret": secret}

    def partial_update(self, endpoint: WebhookEndpoint, changes: dict[str, Any]) -> WebhookEndpoint:
        """Update the URL, description or events. Pending deliveries go to the new URL."""
        endpoints.edit_endpoint(endpoint, by=self.access, **changes)
        return endpoint

    def destroy(self, endpoint: WebhookEndpoint) -> None:
        """Delete an endpoint and its deliveries."""
        endpoints.delete_endpoint(endpoint, by=self.access)

    @post("Rotate a webhook endpoint's secret", answer=EndpointWithSecret, status=201)
    def rotate(self, endpoint: WebhookEndpoint) -> Secretive:
        """Return the endpoint with its new secret. For 24 hours, deliveries are signed with both secrets."""
        return endpoint, {"secret": endpoints.rotate_secret(endpoint, by=self.access)}

    @post(
        "Send a test event",
        answer=DeliveryObject,
        status=201,
        example={"type": "webhook.test", "status": "pending"},
    )
    def test(self, endpoint: WebhookEndpoint) -> WebhookDelivery:
        """Return the delivery of a `webhook.test` event, sent only to this endpoint."""
        return endpoints.send_test(endpoint, by=self.access)

    @post("Enable a webhook endpoint")
    def enable(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        """Enable an endpoint, which then receives new events. Repeating the call has no effect."""
        endpoints.enable_endpoint(endpoint, by=self.access)
        return endpoint

    @post(
        "Disable a webhook endpoint",
        example={"is_enabled": False, "disabled_reason": "Disabled by an API key."},
    )
    def disable(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        """Disable an endpoint until it is enabled again. Repeating the call has no effect."""
        endpoints.disable_endpoint(endpoint, by=self.access)
        return endpoint


class DeliveryViewSet(WorkspaceViewSet):
    """What was sent to an endpoint."""

    tag, noun, nouns = "webhooks", "delivery", "deliveries"
    scope = Scope.WEBHOOKS_WRITE
    serializer_class = DeliveryObject
    query = choice_query("status", WebhookDelivery.Status.choices)
    ordering = ("-id",)
    reads = {
        "list": ("Return the deliveries of the last 30 days, newest first.", {"name": "deliveries"}),
        "retrieve": ("Return a delivery with the first 2 KB of the response.", {"name": "delivery"}),
    }
    lookup_field = "public_id"
    lookup_url_kwarg = "delivery_id"

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        own = WebhookEndpoint.objects.filter(tenant=self.access.tenant)
        endpoint = get_object_or_404(own, pk=self.kwargs["endpoint_id"])
        return endpoint.deliveries.select_related("event", "endpoint")

    @post("Resend an event", status=201, example={"status": "pending"})
    def redeliver(self, sent: WebhookDelivery) -> WebhookDelivery:
        """Resend an event with the same id and return the new delivery. A pending delivery is retried
        immediately instead."""
        return endpoints.redeliver(sent, by=self.access)


class EventViewSet(WorkspaceViewSet):
    """What happened in the workspace."""

    tag, resource, nouns = "webhooks", "events", "events of the last 30 days"
    scope = Scope.WEBHOOKS_WRITE
    reads = {"list": "Return events as sent to webhooks, newest first."}
    queryset = OutboxEvent.objects.all()
    serializer_class = EventObject
    query = EventsQuery

    def present(self, row: OutboxEvent) -> dict[str, object]:
        return super().present(payload_of(row))
