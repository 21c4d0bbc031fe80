"""What the management APIs of all apps are built from. It loads REST framework."""

from tenants.api.schema import IDEMPOTENCY_KEY, describe_handler
from tenants.api.views import BadKey, KeyAuthentication, WorkspaceView, idempotent, repeatable
from tenants.api.viewsets import WorkspaceViewSet, delete, described, get, post, put

__all__ = [
    "IDEMPOTENCY_KEY",
    "BadKey",
    "KeyAuthentication",
    "WorkspaceView",
    "WorkspaceViewSet",
    "delete",
    "describe_handler",
    "described",
    "get",
    "idempotent",
    "post",
    "put",
    "repeatable",
]
