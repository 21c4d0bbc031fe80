"""What the API answers."""

from typing import Any

Object = dict[str, Any]  # docs/api.md describes the fields
