"""Webhooks: endpoints, what was sent to them, and the events themselves."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers

from core.rest.bodies import StrictSerializer, TextField
from core.rest.messages import MessageText
from events.models import EventType, OutboxEvent, WebhookDelivery, WebhookEndpoint
from events.models.events import MAX_URL_LENGTH
from events.outbox import payload_of
from events.presenters import EndpointObject
from events.webhooks import endpoints
from tenants.api.viewsets import WorkspaceViewSet, described, post
from tenants.models import Scope

type Secretive = tuple[WebhookEndpoint, dict[str, str]]  # with the secret, which is shown once


class DeliveryObject(serializers.Serializer[WebhookDelivery]):
    """The delivery of an event to an endpoint."""

    example: ClassVar = {
        "id": "2c9d1b4e-9d0a-4c55-8a3e-1b2c3d4e5f60",
        "object": "webhook_delivery",
        "event": "5f3c1a52-8b0e-4a53-9c0e-0f9c6a3d7b11",
        "type": "canary.ended",
        "status": "delivered",
        "attempts": 1,
        "status_code": 200,
        "latency_ms": 84,
        "answer": "ok",
        "failure": "",
        "created_at": "2026-11-26T09:31:00Z",
        "attempted_at": "2026-11-26T09:31:01Z",
        "next_attempt_at": None,
    }

    id = serializers.UUIDField(source="public_id")
    object = serializers.CharField(default="webhook_delivery", read_only=True)
    event = serializers.UUIDField(source="event_id")
    type = serializers.CharField(source="event.type")
    status = serializers.ChoiceField(WebhookDelivery.Status.choices)
    attempts = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True)
    latency_ms = serializers.IntegerField(allow_null=True)
    answer = serializers.CharField(allow_blank=True, help_text="The first 2 KB of the last response.")
    failure = MessageText()
    created_at = serializers.DateTimeField()
    attempted_at = serializers.DateTimeField(allow_null=True)
    next_attempt_at = serializers.SerializerMethodField()

    def get_next_attempt_at(self, delivery: WebhookDelivery) -> str | None:
        """Return when it is tried next; null: it is over."""
        if delivery.status != WebhookDelivery.Status.PENDING:
            return None
        return str(serializers.DateTimeField().to_representation(delivery.next_attempt_at))


class EndpointWithSecret(EndpointObject):
    """An endpoint with its secret, which is shown only once."""

    example: ClassVar = {**EndpointObject.example, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}

    secret = serializers.CharField()


class EventObject(serializers.Serializer[Any]):
    """An event, as sent to webhooks."""

    example: ClassVar = {
        "id": "5f3c1a52-8b0e-4a53-9c0e-0f9c6a3d7b11",
        "object": "event",
        "type": "key.revoked",
        "timestamp": "2026-11-26T10:00:00.123Z",
        "data": {"object": {"object": "api_key", "name": "newsletter"}},
    }

    id = serializers.UUIDField()
    object = serializers.CharField(default="event", read_only=True)
    type = serializers.CharField()
    timestamp = serializers.DateTimeField()
    data = serializers.DictField(help_text="The object the event is about, and related data.")  # type: ignore[assignment]


class EndpointBody(StrictSerializer):
    """The fields of an endpoint that can be updated."""

    example: ClassVar[dict[str, Any]] = {"event_types": ["version.serving", "canary.ended"]}

    url = TextField(max_length=MAX_URL_LENGTH, required=False)
    description = TextField(max_length=200, allow_blank=True, required=False)
    event_types = serializers.ListField(child=TextField(max_length=40), max_length=100, required=False)


class NewEndpointBody(EndpointBody):
    """A new endpoint."""

    example: ClassVar = {"url": "https://example.com/webhooks", "event_types": ["version.serving"]}

    url = TextField(max_length=MAX_URL_LENGTH)


class DeliveriesQuery(StrictSerializer):
    """Which deliveries."""

    status = serializers.ChoiceField(
        WebhookDelivery.Status.choices, required=False, help_text="Filter by status."
    )


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
        example={**DeliveryObject.example, "type": "webhook.test", "status": "pending"},
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
        example={**EndpointObject.example, "is_enabled": False, "disabled_reason": "Disabled by an API key."},
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
    query = DeliveriesQuery
    ordering = ("-id",)
    lookup_field = "public_id"
    lookup_url_kwarg = "delivery_id"

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        own = WebhookEndpoint.objects.filter(tenant=self.access.tenant)
        endpoint = get_object_or_404(own, pk=self.kwargs["endpoint_id"])
        return endpoint.deliveries.select_related("event", "endpoint")

    @described(name="deliveries")
    def list(self) -> QuerySet[WebhookDelivery]:
        """Return the deliveries of the last 30 days, newest first."""
        return self.filter_queryset(self.get_queryset())

    @described(name="delivery")
    def retrieve(self, delivery: WebhookDelivery) -> WebhookDelivery:
        """Return a delivery with the first 2 KB of the response."""
        return delivery

    @post("Resend an event", status=201, example={**DeliveryObject.example, "status": "pending"})
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
