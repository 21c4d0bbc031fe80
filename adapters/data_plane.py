"""What the gateway uses of this package. It loads no catalog, no uploads and no numpy."""

from adapters.enqueue import request_version
from adapters.routing.publisher import publish_library, publish_missing_tables
