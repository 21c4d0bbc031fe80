"""Addresses of the management API about a workspace, under /api/v1/."""

from django.urls import path

from tenants.api import billing, keys, members, usage, workspace

urlpatterns = [
    path("workspace", workspace.WorkspaceDetailView.as_view(), name="workspace"),
    path("workspace/audit-log", workspace.AuditLogView.as_view(), name="audit_log"),
    path("keys", keys.KeysView.as_view(), name="keys"),
    path("keys/<uuid:key_id>", keys.KeyView.as_view(), name="key"),
    path("keys/<uuid:key_id>/rotate", keys.RotateKeyView.as_view(), name="rotate_key"),
    path("members", members.MembersView.as_view(), name="members"),
    path("members/<int:member_id>", members.MemberView.as_view(), name="member"),
    path("usage", usage.UsageView.as_view(), name="usage"),
    path("usage/events", usage.UsageEventsView.as_view(), name="usage_events"),
    path("billing", billing.BillingView.as_view(), name="billing"),
]
