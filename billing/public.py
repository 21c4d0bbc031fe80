"""What the apps above may use of this one."""

from billing.export import list_exported
from billing.month_report import latest_requests, monthly_report
from billing.revenue import used_nanousd

__all__ = ["latest_requests", "list_exported", "monthly_report", "used_nanousd"]
