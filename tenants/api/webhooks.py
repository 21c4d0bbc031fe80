"""Webhooks: endpoints, what was sent to them, and the events themselves."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.bodies import StrictSerializer, TextField
from tenants.accounts.access import Access
from tenants.api.presenters import DeliveryObject, EndpointObject, present_delivery, present_endpoint
from tenants.api.schema import operation
from tenants.api.views import WorkspaceView, idempotent
from tenants.events.outbox import payload_of
from tenants.models import EventType, OutboxEvent, Scope, WebhookDelivery, WebhookEndpoint
from tenants.models.events import MAX_URL_LENGTH
from tenants.webhooks import endpoints


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

    url = TextField(max_length=MAX_URL_LENGTH, required=False)
    description = TextField(max_length=200, allow_blank=True, required=False)
    event_types = serializers.ListField(child=TextField(max_length=40), max_length=100, required=False)


class NewEndpointBody(EndpointBody):
    """A new endpoint."""

    url = TextField(max_length=MAX_URL_LENGTH)


class DeliveriesQuery(StrictSerializer):
    """Which deliveries."""

    status = serializers.ChoiceField(
        WebhookDelivery.Status.choices, required=False, help_text="Filter by status."
    )


class EventsQuery(StrictSerializer):
    """Which events."""

    type = serializers.ChoiceField(EventType.choices, required=False, help_text="Filter by event type.")
    since = serializers.DateTimeField(required=False, help_text="Events from this time on.")


class EndpointsView(WorkspaceView):
    """All endpoints, and new ones."""

    @operation(
        "webhooks.list",
        "List webhook endpoints",
        scope=Scope.WEBHOOKS_WRITE,
        answer=EndpointObject,
        is_page=True,
    )
    def get(self, request: Request) -> Response:
        """Return the endpoints, newest first."""
        rows = WebhookEndpoint.objects.filter(tenant=self.access.tenant)
        return self.answer_page(rows, lambda page: [present_endpoint(row) for row in page])

    @operation(
        "webhooks.create",
        "Create a webhook endpoint",
        scope=Scope.WEBHOOKS_WRITE,
        body=NewEndpointBody,
        answer=EndpointWithSecret,
        status=201,
        is_post=True,
        body_example={"url": "https://example.com/webhooks", "event_types": ["version.serving"]},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Return a new endpoint with its secret, which is shown only once."""
        endpoint, secret = endpoints.create_endpoint(self.access, **self.read_body(NewEndpointBody))
        return self.answer_object({**present_endpoint(endpoint), "secret": secret}, status=201)


class EndpointView(WorkspaceView):
    """One endpoint."""

    @operation("webhooks.get", "Get a webhook endpoint", scope=Scope.WEBHOOKS_WRITE, answer=EndpointObject)
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """Return an endpoint."""
        return self.answer_object(present_endpoint(_find_endpoint(self.access, endpoint_id)))

    @operation(
        "webhooks.edit",
        "Update a webhook endpoint",
        scope=Scope.WEBHOOKS_WRITE,
        body=EndpointBody,
        answer=EndpointObject,
        is_edit=True,
        body_example={"event_types": ["version.serving", "canary.ended"]},
    )
    @transaction.atomic
    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        """Update the URL, description or events. Pending deliveries go to the new URL."""
        endpoint = _find_endpoint(self.access, endpoint_id, is_locked=True)
        self.require_match(present_endpoint(endpoint))
        changes: Any = self.read_body(EndpointBody)
        if changes:
            endpoints.edit_endpoint(endpoint, by=self.access, **changes)
        return self.answer_object(present_endpoint(endpoint))

    @operation(
        "webhooks.delete", "Delete a webhook endpoint", scope=Scope.WEBHOOKS_WRITE, status=204, is_edit=True
    )
    @transaction.atomic
    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        """Delete an endpoint and its deliveries."""
        endpoint = _find_endpoint(self.access, endpoint_id, is_locked=True)
        self.require_match(present_endpoint(endpoint))
        endpoints.delete_endpoint(endpoint, by=self.access)
        return Response(status=204)


class RotateEndpointView(WorkspaceView):
    """A new secret for an endpoint."""

    @operation(
        "webhooks.rotate",
        "Rotate a webhook endpoint's secret",
        scope=Scope.WEBHOOKS_WRITE,
        answer=EndpointWithSecret,
        status=201,
        is_post=True,
    )
    @idempotent
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Return the endpoint with its new secret. For 24 hours, deliveries are signed with both secrets."""
        endpoint = _find_endpoint(self.access, endpoint_id)
        secret = endpoints.rotate_secret(endpoint, by=self.access)
        return self.answer_object({**present_endpoint(endpoint), "secret": secret}, status=201)


class EndpointTestView(WorkspaceView):
    """A test of an endpoint."""

    @operation(
        "webhooks.test",
        "Send a test event",
        scope=Scope.WEBHOOKS_WRITE,
        answer=DeliveryObject,
        status=201,
        is_post=True,
        example={**DeliveryObject.example, "type": "webhook.test", "status": "pending"},
    )
    @idempotent
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Return the delivery of a `webhook.test` event, sent only to this endpoint."""
        endpoint = _find_endpoint(self.access, endpoint_id)
        sent = endpoints.send_test(endpoint, by=self.access)
        return self.answer_object(present_delivery(sent), status=201)


class EnableEndpointView(WorkspaceView):
    """An endpoint that gets events again."""

    @operation(
        "webhooks.enable",
        "Enable a webhook endpoint",
        scope=Scope.WEBHOOKS_WRITE,
        answer=EndpointObject,
        is_post=True,
    )
    @idempotent
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Enable an endpoint, which then receives new events. Repeating the call has no effect."""
        endpoint = _find_endpoint(self.access, endpoint_id)
        endpoints.enable_endpoint(endpoint, by=self.access)
        return self.answer_object(present_endpoint(endpoint))


class DisableEndpointView(WorkspaceView):
    """An endpoint that gets nothing."""

    @operation(
        "webhooks.disable",
        "Disable a webhook endpoint",
        scope=Scope.WEBHOOKS_WRITE,
        answer=EndpointObject,
        is_post=True,
        example={**EndpointObject.example, "is_enabled": False, "disabled_reason": "Disabled by an API key."},
    )
    @idempotent
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Disable an endpoint until it is enabled again. Repeating the call has no effect."""
        endpoint = _find_endpoint(self.access, endpoint_id)
        endpoints.disable_endpoint(endpoint, by=self.access)
        return self.answer_object(present_endpoint(endpoint))


class DeliveriesView(WorkspaceView):
    """What was sent to an endpoint."""

    @operation(
        "webhooks.deliveries",
        "List deliveries",
        scope=Scope.WEBHOOKS_WRITE,
        answer=DeliveryObject,
        is_page=True,
        query=DeliveriesQuery,
    )
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """Return the deliveries of the last 30 days, newest first."""
        endpoint = _find_endpoint(self.access, endpoint_id)
        rows = endpoint.deliveries.filter(**self.read_query(DeliveriesQuery)).select_related("event")
        return self.answer_page(rows, lambda page: [present_delivery(row) for row in page])

    def order_by(self, request: Request) -> tuple[str, ...]:
        """Return the order: newest first."""
        return ("-id",)


class DeliveryView(WorkspaceView):
    """One delivery."""

    @operation("webhooks.delivery", "Get a delivery", scope=Scope.WEBHOOKS_WRITE, answer=DeliveryObject)
    def get(self, request: Request, endpoint_id: UUID, delivery_id: UUID) -> Response:
        """Return a delivery with the first 2 KB of the response."""
        return self.answer_object(present_delivery(_find_delivery(self.access, endpoint_id, delivery_id)))


class RedeliverView(WorkspaceView):
    """An event that is sent again."""

    @operation(
        "webhooks.redeliver",
        "Resend an event",
        scope=Scope.WEBHOOKS_WRITE,
        answer=DeliveryObject,
        status=201,
        is_post=True,
        example={**DeliveryObject.example, "status": "pending"},
    )
    @idempotent
    def post(self, request: Request, endpoint_id: UUID, delivery_id: UUID) -> Response:
        """Resend an event with the same id and return the new delivery. A pending delivery is retried
        immediately instead."""
        sent = _find_delivery(self.access, endpoint_id, delivery_id)
        again = endpoints.redeliver(sent, by=self.access)
        return self.answer_object(present_delivery(again), status=201)


class EventsView(WorkspaceView):
    """What happened in the workspace."""

    @operation(
        "events.list",
        "List events of the last 30 days",
        scope=Scope.WEBHOOKS_WRITE,
        answer=EventObject,
        is_page=True,
        query=EventsQuery,
        tag="webhooks",
    )
    def get(self, request: Request) -> Response:
        """Return events as sent to webhooks, newest first."""
        query = self.read_query(EventsQuery)
        events = OutboxEvent.objects.filter(tenant=self.access.tenant)
        if "type" in query:
            events = events.filter(type=query["type"])
        if "since" in query:
            events = events.filter(created_at__gte=query["since"])
        return self.answer_page(events, lambda page: [_present_event(row) for row in page])


def _present_event(event: OutboxEvent) -> dict[str, object]:
    presented: Any = EventObject(payload_of(event)).data
    return dict(presented)


def _find_endpoint(access: Access, endpoint_id: UUID, *, is_locked: bool = False) -> WebhookEndpoint:
    rows = WebhookEndpoint.objects.filter(tenant=access.tenant)
    if is_locked:
        rows = rows.select_for_update(no_key=True)
    return get_object_or_404(rows, pk=endpoint_id)


def _find_delivery(access: Access, endpoint_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    deliveries: QuerySet[WebhookDelivery] = WebhookDelivery.objects.select_related("event", "endpoint")
    return get_object_or_404(
        deliveries, public_id=delivery_id, endpoint=endpoint_id, endpoint__tenant=access.tenant
    )
