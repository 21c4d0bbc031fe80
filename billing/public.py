"""What the apps above may use of this one."""

from billing import author_shares
from billing.export import list_exported
from billing.invoices import invoices
from billing.month_report import latest_requests, monthly_report
from billing.revenue import count_open_transfers, invoiced_nanousd, used_nanousd
from billing.usage_retention import drop_old_months
from metering.earned_shares import decide_shares

__all__ = [
    "author_shares",
    "count_open_transfers",
    "decide_shares",
    "drop_old_months",
    "invoiced_nanousd",
    "invoices",
    "latest_requests",
    "list_exported",
    "monthly_report",
    "used_nanousd",
]
