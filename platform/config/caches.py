"""Serialize values of Django's cache for Valkey."""

import json
from typing import Any


class JsonSerializer:
    """JSON instead of pickle: a person who can write into Valkey must not run code in the site."""

    def dumps(self, value: Any) -> bytes:
        """Return a value as bytes. Raises TypeError for a value that JSON can't hold."""
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        """Return the value of some bytes."""
        return json.loads(data)
