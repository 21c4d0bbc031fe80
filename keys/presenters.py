"""An API key as the management API shows it, and as its events carry it."""

from rest_framework import serializers

from core.rest.objects import DollarsField, PersonField
from tenants.models import ApiKey, Scope


class KeyLimits(serializers.Serializer[ApiKey]):
    """A key's own limits. With `null`, only the workspace's limits apply."""

    monthly_tokens = serializers.IntegerField(allow_null=True, initial=2_000_000)
    monthly_nanousd = serializers.IntegerField(
        allow_null=True, help_text="Monthly budget in billionths of a dollar.", initial=25_000_000_000
    )
    monthly_usd = DollarsField(source="monthly_nanousd", read_only=True, allow_null=True)
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    parallel_requests = serializers.IntegerField(allow_null=True)
    styles = serializers.SerializerMethodField(initial=[])

    def get_styles(self, key: ApiKey) -> list[str]:
        """Return the ids of the only styles that it may use; empty: all."""
        return [str(style_id) for style_id in key.styles or []]


class KeyObject(serializers.Serializer[ApiKey]):
    """An API key. Its secret is returned once, when the key is created."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="api_key", read_only=True)
    name = serializers.CharField(initial="newsletter")
    hint = serializers.SerializerMethodField(initial="sk-ps-aB3d…9xYz")
    scopes = serializers.ListField(child=serializers.ChoiceField(Scope.choices), initial=["inference"])
    limits = KeyLimits(source="*", read_only=True)
    is_watermarked = serializers.BooleanField(
        help_text="If false, requests with this key get text without a watermark, unless they ask for it.",
        initial=True,
    )
    is_live = serializers.BooleanField(read_only=True, initial=True)
    created_by = PersonField("created_by")
    replaced_by = serializers.UUIDField(source="replaced_by_id", allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)

    def get_hint(self, key: ApiKey) -> str:
        """Return the secret's first and last characters."""
        return f"{key.prefix}…{key.last4}"
