"""What the management APIs of other apps use of this one. It loads REST framework; `public` does not."""

from tenants.api.authentication import BadKey, KeyAuthentication
from tenants.api.presenters import AuditObject, KeyObject, WorkspaceObject, present_key, present_workspace
from tenants.api.schema import IDEMPOTENCY_KEY, describe_handler, operation
from tenants.api.views import WorkspaceView, idempotent, repeatable
from tenants.api.viewsets import WorkspaceViewSet, delete, described, get, post, put

__all__ = [
    "IDEMPOTENCY_KEY",
    "AuditObject",
    "BadKey",
    "KeyAuthentication",
    "KeyObject",
    "WorkspaceObject",
    "WorkspaceView",
    "WorkspaceViewSet",
    "delete",
    "describe_handler",
    "described",
    "get",
    "idempotent",
    "operation",
    "post",
    "present_key",
    "present_workspace",
    "put",
    "repeatable",
]
