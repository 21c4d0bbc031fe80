"""What the roof may use of this floor, beside its apps and tasks."""

from inference.metrics import ALL as ALL_METRICS
from inference.metrics import FIRST_BYTE, REFUSALS, REQUESTS, SUM, TOKENS, Histogram, read_total
from inference.quota.backlog import Backlog, read_backlog
from inference.quota.ledger_drain import drain_usage

__all__ = [
    "ALL_METRICS",
    "FIRST_BYTE",
    "REFUSALS",
    "REQUESTS",
    "SUM",
    "TOKENS",
    "Backlog",
    "Histogram",
    "drain_usage",
    "read_backlog",
    "read_total",
]
