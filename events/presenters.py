"""A webhook endpoint as the management API shows it, and as its events carry it."""

from typing import ClassVar

from rest_framework import serializers

from core.rest.messages import MessageText
from events.models import WebhookEndpoint


class EndpointObject(serializers.Serializer[WebhookEndpoint]):
    """A webhook endpoint of the workspace."""

    example: ClassVar = {
        "id": "4a1c7e52-7b0f-4b62-8f5d-1f4c8f6d2b10",
        "object": "webhook_endpoint",
        "url": "https://example.com/webhooks",
        "description": "Posts to our chat",
        "event_types": ["version.serving", "canary.ended"],
        "is_enabled": True,
        "disabled_at": None,
        "disabled_reason": "",
        "failing_since": None,
        "previous_secret_until": None,
        "created_at": "2026-11-26T09:30:00Z",
    }

    id = serializers.UUIDField()
    object = serializers.CharField(default="webhook_endpoint", read_only=True)
    url = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    event_types = serializers.ListField(child=serializers.CharField(), help_text="Empty for all types.")
    is_enabled = serializers.BooleanField()
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_reason = MessageText()
    failing_since = serializers.DateTimeField(allow_null=True)
    previous_secret_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
