"""Objects of a workspace as the API shows them, and as its events carry them."""

from typing import ClassVar

from rest_framework import serializers

from core.rest.messages import MessageText
from core.rest.objects import DollarsField
from tenants.models import ApiKey, Scope, Tenant, WebhookEndpoint


class KeyLimits(serializers.Serializer[ApiKey]):
    """A key's own limits. With `null`, only the workspace's limits apply."""

    monthly_tokens = serializers.IntegerField(allow_null=True)
    monthly_nanousd = serializers.IntegerField(
        allow_null=True, help_text="Monthly budget in billionths of a dollar."
    )
    monthly_usd = DollarsField(source="monthly_nanousd", read_only=True, allow_null=True)
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    parallel_requests = serializers.IntegerField(allow_null=True)
    styles = serializers.SerializerMethodField()

    def get_styles(self, key: ApiKey) -> list[str]:
        """Return the ids of the only styles that it may use; empty: all."""
        return [str(style_id) for style_id in key.styles or []]


class KeyObject(serializers.Serializer[ApiKey]):
    """An API key. Its secret is returned once, when the key is created."""

    example: ClassVar = {
        "id": "7f2c1b4e-9d0a-4c55-8a3e-1b2c3d4e5f60",
        "object": "api_key",
        "name": "newsletter",
        "hint": "sk-ps-aB3d…9xYz",
        "scopes": ["inference"],
        "limits": {
            "monthly_tokens": 2_000_000,
            "monthly_nanousd": 25_000_000_000,
            "monthly_usd": "25.00",
            "requests_per_minute": None,
            "tokens_per_minute": None,
            "parallel_requests": None,
            "styles": [],
        },
        "is_watermarked": True,
        "is_live": True,
        "created_by": "alice@example.com",
        "replaced_by": None,
        "created_at": "2026-11-26T09:30:00Z",
        "expires_at": None,
        "revoked_at": None,
        "last_used_at": None,
    }

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
    created_by = serializers.CharField(source="created_by.email", read_only=True, allow_null=True)
    replaced_by = serializers.UUIDField(source="replaced_by_id", allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)

    def get_hint(self, key: ApiKey) -> str:
        """Return the secret's first and last characters."""
        return f"{key.prefix}…{key.last4}"


class WorkspaceObject(serializers.Serializer[Tenant]):
    """A workspace."""

    example: ClassVar = {
        "id": "0b1c2d3e-4f50-4162-8738-495a6b7c8d9e",
        "object": "workspace",
        "slug": "acme",
        "name": "Acme",
        "monthly_nanousd": 50_000_000_000,
        "monthly_usd": "50.00",
        "default_style": None,
        "key_limits": {"monthly_tokens": 2_000_000},
        "key_lifetime_days": 365,
        "is_watermarked": True,
        "responses_kept_days": None,
        "is_suspended": False,
        "deletion_at": None,
        "created_at": "2026-11-01T08:00:00Z",
    }

    id = serializers.UUIDField()
    object = serializers.CharField(default="workspace", read_only=True)
    slug = serializers.CharField(help_text="The first part of the styles' names: `slug/style`.")
    name = serializers.CharField()
    monthly_nanousd = serializers.IntegerField(
        allow_null=True, help_text="The workspace's own monthly budget."
    )
    monthly_usd = DollarsField(
        source="monthly_nanousd", read_only=True, allow_null=True, help_text="The budget in dollars."
    )
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

    def get_is_suspended(self, tenant: Tenant) -> bool:
        """Return whether operators suspended it."""
        return tenant.suspended_at is not None


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
