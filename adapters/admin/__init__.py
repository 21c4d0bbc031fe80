"""The console for operators: styles, versions, engines, erasures. Measured values are read-only."""

from adapters.admin import engines, styles
