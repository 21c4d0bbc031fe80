"""Operators' view of styles and engines, in the console. What was measured or checked can only be read."""

from adapters.admin import engines, erasures, styles, versions

__all__ = ["engines", "erasures", "styles", "versions"]
