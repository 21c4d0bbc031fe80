"""What the management APIs of other floors use of this one. It loads REST framework; `public` does not."""

from tenants.api.schema import operation
from tenants.api.views import WorkspaceView, idempotent, repeatable

__all__ = ["WorkspaceView", "idempotent", "operation", "repeatable"]
