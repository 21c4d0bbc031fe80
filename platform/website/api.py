"""The workspace: its name, its budget, its audit log; and who is calling."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from rest_framework import serializers

from accounts import deletion, workspaces
from accounts.presenters import WorkspaceObject
from adapters.public import find_style_choices
from core.errors import Invalid
from core.money import NANO
from core.names import validate_name
from core.rest.bodies import StrictSerializer, TextField
from core.rest.objects import PersonField
from keys.api import WATERMARK_HELP, LimitsBody, limit_field
from keys.forms import LIFETIMES_DAYS
from metering.forms import MAX_USD
from tenants import audit_log
from tenants.access import Access
from tenants.models import RESPONSE_DAYS, AuditEntry, Scope, Tenant
from tenants.rest import WorkspaceViewSet, described, post
from tenants.roles import Permission


class NotConfirmed(Invalid):
    """To confirm, send the workspace's short name, `{slug}`, as `confirm`."""


class AuditObject(serializers.Serializer[AuditEntry]):
    """An audit log entry."""

    id = serializers.IntegerField(initial=42)
    object = serializers.CharField(default="audit_entry", read_only=True)
    at = serializers.DateTimeField()
    action = serializers.CharField(help_text="As `api_key.created`.", initial="api_key.created")
    actor = PersonField("actor", help_text="Email address of the person. `null` for a program.")
    api_key = serializers.UUIDField(source="api_key_id", allow_null=True, help_text="The API key used.")
    object_type = serializers.CharField(initial="tenants.apikey")
    object_id = serializers.CharField(help_text="Id of the object that was changed.")
    object_name = serializers.CharField(initial="newsletter (sk-ps-aB3d…9xYz)")
    before = serializers.DictField(help_text="Values before the change.")
    after = serializers.DictField(help_text="Values after the change.", initial={"scopes": ["inference"]})
    address = serializers.CharField(allow_null=True, initial="203.0.113.7")


class NewKeysBody(LimitsBody):
    """Default limits of new keys."""

    styles = None  # type: ignore[assignment]  # so REST framework leaves out a field of the class above


class WorkspaceBody(StrictSerializer):
    """The fields of the workspace that can be updated."""

    example = dict(monthly_nanousd=50_000_000_000)

    name = TextField(max_length=80, validators=[validate_name], required=False)
    monthly_nanousd = limit_field(MAX_USD * NANO)
    default_style = serializers.UUIDField(
        allow_null=True, required=False, help_text="Id of the style that new drafts start with."
    )
    key_limits = NewKeysBody(allow_null=True, required=False, help_text="Default limits of new API keys.")
    key_lifetime_days = serializers.ChoiceField(
        choices=LIFETIMES_DAYS,
        allow_null=True,
        required=False,
        help_text="Number of days after which a new API key expires by default. `null` for never.",
    )
    is_watermarked = serializers.BooleanField(required=False, help_text=WATERMARK_HELP)
    responses_kept_days = serializers.ChoiceField(
        choices=RESPONSE_DAYS,
        allow_null=True,
        required=False,
        help_text="For how many days responses and conversations are stored, where the operator allows it. "
        "What is older is deleted; with `null`, all of them.",
    )

    def validate_responses_kept_days(self, days: int | None) -> int | None:
        """Refuse to store what the operator doesn't."""
        if days and not settings.RESPONSES_STORE:
            raise serializers.ValidationError("This service doesn't store responses.")
        return days

    def validate_default_style(self, style_id: UUID | None) -> UUID | None:
        """Refuse a style that the workspace can't use."""
        access: Access = self.context["access"]
        if style_id and not find_style_choices(access.tenant, [style_id]):
            raise serializers.ValidationError("This workspace has no access to a style with this id.")
        return style_id


class DeleteBody(StrictSerializer):
    """Confirmation of the deletion."""

    confirm = serializers.CharField(max_length=80, help_text="The workspace's `slug`.", initial="acme")


class AuditQuery(StrictSerializer):
    """Filters of the audit log."""

    action = serializers.CharField(max_length=60, required=False, help_text="As `api_key.created`.")
    object_id = serializers.CharField(max_length=100, required=False, help_text="Id of the changed object.")
    person = serializers.CharField(
        max_length=100, required=False, help_text="Part of an email address or key name."
    )
    first_day = serializers.DateField(required=False, help_text="UTC.")
    last_day = serializers.DateField(required=False, help_text="UTC, included.")


class CurrentWorkspaceViewSet(WorkspaceViewSet):
    """The workspace of the key or the session."""

    tag, noun = "workspace", "the workspace"
    scope, read_scope = Scope.ADMIN, None
    reads = {"retrieve": "Return the workspace."}
    serializer_class = WorkspaceObject
    body = WorkspaceBody

    def partial_update(self, tenant: Tenant, changes: dict[str, Any]) -> Tenant:
        """Update the fields in the body. Requires an owner or a key with `admin`."""
        workspaces.edit_workspace(self.access, changes)
        return tenant

    @described(
        needs=Permission.DELETE_WORKSPACE,
        body=DeleteBody,
        answer=WorkspaceObject,
        status=202,
        example={"deletion_at": "2026-11-30T09:30:00Z"},
    )
    def destroy(self, tenant: Tenant, body: dict[str, Any]) -> Tenant:
        """Schedule the deletion of the workspace and the erasure of all its styles at `deletion_at`. Invoices
        and the ledger are kept, and all owners get an email. Until then the workspace works as before, and
        any owner can cancel with `POST /workspace/stop-deletion`."""
        if body["confirm"] != tenant.slug:
            raise NotConfirmed(slug=tenant.slug, field="confirm")
        deletion.request_deletion(self.access)
        return tenant

    @post("Cancel the deletion of the workspace", url_path="stop-deletion", needs=Permission.DELETE_WORKSPACE)
    def stop_deletion(self, tenant: Tenant) -> Tenant:
        """Cancel the scheduled deletion."""
        deletion.stop_deletion(self.access)
        return tenant


class AuditViewSet(WorkspaceViewSet):
    """What was done in the workspace, and by whom."""

    tag, nouns = "workspace", "audit log entries"
    scope = Scope.ADMIN
    serializer_class = AuditObject
    query = AuditQuery
    ordering = ("-id",)

    @described(name="audit_log")
    def list(self) -> QuerySet[AuditEntry]:
        """Return the audit log, newest first."""
        filters = self.read_query(AuditQuery)
        object_id = filters.pop("object_id", None)
        entries = audit_log.find_entries(self.access.tenant, **filters)
        return entries.filter(object_id=object_id) if object_id else entries
