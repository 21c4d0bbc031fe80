"""The console for operators: styles, versions, engines, erasures. Measured values are read-only."""

from adapters.admin import engines, styles

__all__ = ["engines", "erasures", "price_changes", "styles", "versions"]
