"""Objects of a workspace as the API shows them, and as its events carry them."""

from typing import ClassVar

from rest_framework import serializers

from core.money import dollars
from core.rest.messages import MessageText
from tenants.models import (
    ApiKey,
    AuditEntry,
    Scope,
    Tenant,
    WebhookDelivery,
    WebhookEndpoint,
)


class KeyLimits(serializers.Serializer[ApiKey]):
    """A key's own limits. With `null`, only the workspace's limits apply."""

    monthly_tokens = serializers.IntegerField(allow_null=True)
    monthly_nanousd = serializers.IntegerField(
        allow_null=True, help_text="Monthly budget in billionths of a dollar."
    )
    monthly_usd = serializers.SerializerMethodField()
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    parallel_requests = serializers.IntegerField(allow_null=True)
    styles = serializers.SerializerMethodField()

    def get_monthly_usd(self, key: ApiKey) -> str | None:
        """Return the budget in dollars."""
        return dollars(key.monthly_nanousd)

    def get_styles(self, key: ApiKey) -> list[str]:
        """Return the ids of the only styles that it may use; empty: all."""
        return [str(style_id) for style_id in key.styles or []]


class KeyObject(serializers.Serializer[ApiKey]):
    """An API key. Its secret is returned once, when the key is created."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="api_key", read_only=True)
    name = serializers.CharField()
    hint = serializers.SerializerMethodField()
    scopes = serializers.ListField(child=serializers.ChoiceField(Scope.choices))
    limits = KeyLimits(source="*", read_only=True)
    is_watermarked = serializers.BooleanField(
        help_text="If false, requests with this key get text without a watermark, unless they ask for it."
    )
    is_live = serializers.BooleanField(read_only=True)
    created_by = serializers.SerializerMethodField()
    replaced_by = serializers.UUIDField(source="replaced_by_id", allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)

    def get_hint(self, key: ApiKey) -> str:
        """Return the secret's first and last characters."""
        return f"{key.prefix}…{key.last4}"

    def get_created_by(self, key: ApiKey) -> str | None:
        """Return the address of the person who made it; null: a program did."""
        return key.created_by.email if key.created_by else None


class WorkspaceObject(serializers.Serializer[Tenant]):
    """A workspace."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="workspace", read_only=True)
    slug = serializers.CharField(help_text="The first part of the styles' names: `slug/style`.")
    name = serializers.CharField()
    monthly_nanousd = serializers.IntegerField(
        allow_null=True, help_text="The workspace's own monthly budget."
    )
    monthly_usd = serializers.SerializerMethodField()
    default_style = serializers.UUIDField(
        allow_null=True, help_text="Id of the style that the Write page starts with."
    )
    key_limits = serializers.DictField(
        child=serializers.IntegerField(), allow_null=True, help_text="Default limits of new API keys."
    )
    key_lifetime_days = serializers.IntegerField(
        allow_null=True, help_text="Number of days after which a new API key expires."
    )
    is_watermarked = serializers.BooleanField(
        help_text="If false, text is generated without a watermark, unless a request asks for it."
    )
    responses_kept_days = serializers.IntegerField(
        allow_null=True,
        help_text="For how many days responses and conversations are stored. `null` if they are not.",
    )
    is_suspended = serializers.SerializerMethodField()
    deletion_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When the workspace will be deleted, if an owner requested it. Otherwise `null`.",
    )
    created_at = serializers.DateTimeField()

    def get_monthly_usd(self, tenant: Tenant) -> str | None:
        """Return the budget in dollars."""
        return dollars(tenant.monthly_nanousd)

    def get_is_suspended(self, tenant: Tenant) -> bool:
        """Return whether operators suspended it."""
        return tenant.suspended_at is not None


class AuditObject(serializers.Serializer[AuditEntry]):
    """An audit log entry."""

    id = serializers.IntegerField()
    object = serializers.CharField(default="audit_entry", read_only=True)
    at = serializers.DateTimeField()
    action = serializers.CharField(help_text="As `api_key.created`.")
    actor = serializers.SerializerMethodField()
    api_key = serializers.UUIDField(source="api_key_id", allow_null=True, help_text="The API key used.")
    object_type = serializers.CharField()
    object_id = serializers.CharField()
    object_name = serializers.CharField()
    before = serializers.DictField()
    after = serializers.DictField()
    address = serializers.CharField(allow_null=True)

    def get_actor(self, entry: AuditEntry) -> str | None:
        """Return the person's address; null: a program."""
        return entry.actor.email if entry.actor else None


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


def present_key(key: ApiKey) -> dict[str, object]:
    """Return a key as the API shows it."""
    return dict(KeyObject(key).data)


def present_workspace(tenant: Tenant) -> dict[str, object]:
    """Return a workspace as the API shows it."""
    return dict(WorkspaceObject(tenant).data)


def present_endpoint(endpoint: WebhookEndpoint) -> dict[str, object]:
    """Return a webhook endpoint as the API shows it."""
    return dict(EndpointObject(endpoint).data)


def present_delivery(delivery: WebhookDelivery) -> dict[str, object]:
    """Return a delivery as the API shows it."""
    return dict(DeliveryObject(delivery).data)
