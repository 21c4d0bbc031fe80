"""Addresses of the management API about a workspace and its keys, under /api/v1/."""

from django.urls import path

from website.api import keys, logins, workspace

urlpatterns = [
    path("workspace", workspace.WorkspaceDetailView.as_view(), name="workspace"),
    path(
        "workspace/stop-deletion",
        workspace.StopDeletionView.as_view(),
        name="stop_deletion",
    ),
    path("workspace/audit-log", workspace.AuditLogView.as_view(), name="audit_log"),
    path("keys", keys.KeysView.as_view(), name="keys"),
    path("keys/<uuid:key_id>", keys.KeyView.as_view(), name="key"),
    path("keys/<uuid:key_id>/rotate", keys.RotateKeyView.as_view(), name="rotate_key"),
    path("logins", logins.LoginsView.as_view(), name="logins"),
    path("logins/redeem", logins.RedeemLoginView.as_view(), name="redeem_login"),
]
