"""A workspace as the management API shows it, and as its events carry it."""

from typing import ClassVar

from rest_framework import serializers

from core.rest.objects import DollarsField
from tenants.models import Tenant


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
