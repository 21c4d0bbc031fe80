"""What the gateway uses of this floor. It loads no catalog, no uploads and no numpy."""

from adapters.enqueue import request_version
from adapters.routing.publisher import publish_missing_tables, publish_routes

__all__ = ["publish_missing_tables", "publish_routes", "request_version"]
