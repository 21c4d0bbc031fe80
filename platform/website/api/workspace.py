"""The workspace: its name, its budget, its audit log; and who is calling."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters.public import find_style_choices
from core.errors import Invalid
from core.money import NANO
from core.names import validate_name
from core.rest.bodies import StrictSerializer, TextField
from tenants.accounts import audit_log, deletion, workspaces
from tenants.accounts.access import Access
from tenants.accounts.roles import Permission
from tenants.metering.forms import MAX_USD
from tenants.models import RESPONSE_DAYS, AuditEntry, Scope, Tenant
from tenants.rest import AuditObject, WorkspaceObject, WorkspaceView, idempotent, operation, present_workspace
from website.api.keys import WATERMARK_HELP, LimitsBody
from website.key_forms import LIFETIMES_DAYS

WORKSPACE_EXAMPLE = {
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
AUDIT_EXAMPLE = {
    "id": 42,
    "object": "audit_entry",
    "at": "2026-11-26T09:30:00Z",
    "action": "api_key.created",
    "actor": "alice@example.com",
    "api_key": None,
    "object_type": "tenants.apikey",
    "object_id": "7f2c1b4e-9d0a-4c55-8a3e-1b2c3d4e5f60",
    "object_name": "newsletter (sk-ps-aB3d…9xYz)",
    "before": {},
    "after": {"scopes": ["inference"]},
    "address": "203.0.113.7",
}


class NotConfirmed(Invalid):
    """To confirm, send the workspace's short name, `{slug}`, as `confirm`."""

    code = "not_confirmed"


class NewKeysBody(LimitsBody):
    """Default limits of new keys."""

    styles = None  # type: ignore[assignment]  # so REST framework leaves out a field of the class above


class WorkspaceBody(StrictSerializer):
    """The fields of the workspace that can be updated."""

    name = TextField(max_length=80, validators=[validate_name], required=False)
    monthly_nanousd = serializers.IntegerField(
        min_value=1, max_value=MAX_USD * NANO, allow_null=True, required=False
    )
    default_style = serializers.UUIDField(
        allow_null=True, required=False, help_text="Id of the style that the Write page starts with."
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

    confirm = serializers.CharField(max_length=80, help_text="The workspace's `slug`.")


class AuditQuery(StrictSerializer):
    """Filters of the audit log."""

    action = serializers.CharField(max_length=60, required=False, help_text="As `api_key.created`.")
    object_id = serializers.CharField(max_length=100, required=False, help_text="Id of the changed object.")
    person = serializers.CharField(
        max_length=100, required=False, help_text="Part of an email address or key name."
    )
    first_day = serializers.DateField(required=False, help_text="UTC.")
    last_day = serializers.DateField(required=False, help_text="UTC, included.")


class WorkspaceDetailView(WorkspaceView):
    """The workspace of the key or the session."""

    @operation(
        "workspace.get",
        "Get the workspace",
        scope=None,
        answer=WorkspaceObject,
        example=WORKSPACE_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return the workspace."""
        return self.answer_object(present_workspace(self.access.tenant))

    @operation(
        "workspace.edit",
        "Update the workspace",
        scope=Scope.ADMIN,
        body=WorkspaceBody,
        answer=WorkspaceObject,
        is_edit=True,
        example=WORKSPACE_EXAMPLE,
        body_example={"monthly_nanousd": 50_000_000_000},
    )
    @transaction.atomic
    def patch(self, request: Request) -> Response:
        """Update the fields in the body. Requires an owner or a key with `admin`."""
        tenant = self.access.tenant
        tenant.refresh_from_db(from_queryset=Tenant.objects.select_for_update(no_key=True))
        self.require_match(present_workspace(tenant))
        workspaces.edit_workspace(self.access, self.read_body(WorkspaceBody))
        return self.answer_object(present_workspace(tenant))

    @operation(
        "workspace.delete",
        "Delete the workspace",
        scope=Scope.ADMIN,
        needs=Permission.DELETE_WORKSPACE,
        body=DeleteBody,
        answer=WorkspaceObject,
        status=202,
        is_change=True,
        example={**WORKSPACE_EXAMPLE, "deletion_at": "2026-11-30T09:30:00Z"},
        body_example={"confirm": "acme"},
    )
    def delete(self, request: Request) -> Response:
        """Schedule the deletion of the workspace and the erasure of all its styles at `deletion_at`. Invoices
        and the ledger are kept, and all owners get an email. Until then the workspace works as before, and
        any owner can cancel with `POST /workspace/stop-deletion`."""
        if self.read_body(DeleteBody)["confirm"] != self.access.tenant.slug:
            raise NotConfirmed(slug=self.access.tenant.slug, field="confirm")
        deletion.request_deletion(self.access)
        return Response(present_workspace(self.access.tenant), status=202)


class StopDeletionView(WorkspaceView):
    """The deletion that was asked for."""

    @operation(
        "workspace.stop_deletion",
        "Cancel the deletion of the workspace",
        scope=Scope.ADMIN,
        needs=Permission.DELETE_WORKSPACE,
        answer=WorkspaceObject,
        is_post=True,
        example=WORKSPACE_EXAMPLE,
        tag="workspace",
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Cancel the scheduled deletion."""
        deletion.stop_deletion(self.access)
        return Response(present_workspace(self.access.tenant))


class AuditLogView(WorkspaceView):
    """What was done in the workspace, and by whom."""

    @operation(
        "workspace.audit_log",
        "List audit log entries",
        scope=Scope.ADMIN,
        answer=AuditObject,
        is_page=True,
        query=AuditQuery,
        example=AUDIT_EXAMPLE,
        tag="workspace",
    )
    def get(self, request: Request) -> Response:
        """Return the audit log, newest first."""
        filters = self.read_query(AuditQuery)
        object_id = filters.pop("object_id", None)
        entries = audit_log.find_entries(self.access.tenant, **filters)
        if object_id:
            entries = entries.filter(object_id=object_id)
        return self.answer_page(entries, _present_entries)

    def order_by(self, request: Request) -> tuple[str, ...]:
        """Return the order: newest first."""
        return ("-id",)


def _present_entries(entries: list[AuditEntry]) -> list[dict[str, Any]]:
    return [dict(AuditObject(entry).data) for entry in entries]
