"""Addresses of the management API about a workspace and its keys, under /api/v1/."""

from website.api import keys, workspace

urlpatterns = [
    *workspace.CurrentWorkspaceViewSet.routes("workspace"),
    *workspace.AuditViewSet.routes("workspace/audit-log"),
    *keys.KeyViewSet.routes("keys"),
    *keys.LoginViewSet.routes("logins"),
]
