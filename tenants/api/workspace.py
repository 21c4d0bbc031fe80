"""The workspace: its name, its budget, its audit log; and who is calling."""

from typing import Any

from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from foundation.money import NANO
from foundation.names import validate_name
from foundation.rest.bodies import StrictSerializer, TextField
from tenants.accounts import workspaces
from tenants.api.presenters import AuditObject, WorkspaceObject, present_workspace
from tenants.api.schema import operation
from tenants.api.views import WorkspaceView
from tenants.billing.forms import MAX_USD
from tenants.models import AuditEntry, Scope, Tenant

WORKSPACE_EXAMPLE = {
    "id": "0b1c2d3e-4f50-4162-8738-495a6b7c8d9e",
    "object": "workspace",
    "slug": "acme",
    "name": "Acme",
    "monthly_nanousd": 50_000_000_000,
    "monthly_usd": "50.00",
    "is_suspended": False,
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


class WorkspaceBody(StrictSerializer):
    """What an edit of the workspace may change."""

    name = TextField(max_length=80, validators=[validate_name], required=False)
    monthly_nanousd = serializers.IntegerField(
        min_value=1, max_value=MAX_USD * NANO, allow_null=True, required=False
    )


class AuditQuery(StrictSerializer):
    """Filters of the audit log."""

    action = serializers.CharField(max_length=60, required=False, help_text="As `api_key.created`.")
    object_id = serializers.CharField(max_length=100, required=False)


class WorkspaceDetailView(WorkspaceView):
    """The workspace of the key or the session."""

    read_scope = None
    write_scope = Scope.ADMIN

    @operation(
        "workspace.get",
        "Get the workspace",
        scope=read_scope,
        answer=WorkspaceObject,
        example=WORKSPACE_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return the workspace."""
        return self.answer_object(present_workspace(self.access.tenant))

    @operation(
        "workspace.edit",
        "Rename the workspace or set its budget",
        scope=write_scope,
        body=WorkspaceBody,
        answer=WorkspaceObject,
        is_edit=True,
        example=WORKSPACE_EXAMPLE,
        body_example={"monthly_nanousd": 50_000_000_000},
    )
    @transaction.atomic
    def patch(self, request: Request) -> Response:
        """Change what the body names. Only owners, and keys with `admin`, may."""
        self.access.require_owner()
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=self.access.tenant.pk)
        before = present_workspace(tenant)
        self.require_match(before)
        body = self.read_body(WorkspaceBody)
        if "name" in body:
            workspaces.rename_tenant(tenant, body["name"])
        if "monthly_nanousd" in body:
            workspaces.set_budget(tenant, body["monthly_nanousd"])
        self.access.audit(
            "workspace.edited", tenant, before={name: before[name] for name in body}, after=body
        )
        return self.answer_object(present_workspace(tenant))


class AuditLogView(WorkspaceView):
    """What was done in the workspace, and by whom."""

    read_scope = Scope.ADMIN
    write_scope = Scope.ADMIN

    @operation(
        "workspace.audit_log",
        "List what was done in the workspace",
        scope=read_scope,
        answer=AuditObject,
        is_page=True,
        query=AuditQuery,
        example=AUDIT_EXAMPLE,
        tag="workspace",
    )
    def get(self, request: Request) -> Response:
        """Return the log, newest first."""
        filters = self.read_query(AuditQuery)
        entries = AuditEntry.objects.filter(tenant=self.access.tenant, **filters).select_related("actor")
        return self.answer_page(entries, _present_entries)

    def order_by(self, request: Request) -> tuple[str, ...]:
        """Return the order: newest first."""
        return ("-id",)


def _present_entries(entries: list[AuditEntry]) -> list[dict[str, Any]]:
    return [dict(AuditObject(entry).data) for entry in entries]
