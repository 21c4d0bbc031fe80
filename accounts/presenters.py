"""A workspace as the management API shows it, and as its events carry it."""

from rest_framework import serializers

from core.rest.objects import DollarsField
from tenants.models import Tenant


class WorkspaceObject(serializers.Serializer[Tenant]):
    """A workspace."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="workspace", read_only=True)
    slug = serializers.CharField(
        help_text="The first part of the styles' names: `slug/style`.", initial="acme"
    )
    name = serializers.CharField(initial="Acme")
    monthly_nanousd = serializers.IntegerField(
        allow_null=True, help_text="The workspace's own monthly budget.", initial=50_000_000_000
    )
    monthly_usd = DollarsField(
        source="monthly_nanousd", read_only=True, allow_null=True, help_text="The budget in dollars."
    )
    default_style = serializers.UUIDField(
        allow_null=True, help_text="Id of the style that new drafts start with."
    )
    key_limits = serializers.DictField(
        child=serializers.IntegerField(allow_null=True),
        allow_null=True,
        help_text="Default limits of new API keys.",
        initial={"monthly_tokens": 2_000_000},
    )
    key_lifetime_days = serializers.IntegerField(
        allow_null=True, help_text="Number of days after which a new API key expires.", initial=365
    )
    is_watermarked = serializers.BooleanField(
        help_text="If false, text is generated without a watermark, unless a request asks for it.",
        initial=True,
    )
    responses_kept_days = serializers.IntegerField(
        allow_null=True,
        help_text="For how many days responses and conversations are stored. `null` if they are not.",
    )
    is_suspended = serializers.SerializerMethodField(initial=False)
    deletion_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When the workspace will be deleted, if an owner requested it. Otherwise `null`.",
    )
    created_at = serializers.DateTimeField()

    def get_is_suspended(self, tenant: Tenant) -> bool:
        """Return whether operators suspended it."""
        return tenant.suspended_at is not None
