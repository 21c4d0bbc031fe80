"""Closing a month: its steps in their order. A crash in or between any of them is mended by the next run.

`tests/inference/quota/test_month.py` crashes each step that is listed here and in `invoices.FINALIZING`.
"""

from collections.abc import Callable
from datetime import datetime

from tenants.billing import author_shares, credits, invoices

# Once no request of the month is open any more.
DRAFTING: tuple[Callable[[str], int], ...] = (
    invoices.draft_month,
    credits.expire_ended_credits,  # where no invoice is to burn of them
)
# Hourly; each looks for what is due.
FINALIZING: tuple[Callable[[datetime], int], ...] = (
    invoices.finalize_due,
    author_shares.pay_due,
)


def draft(period: str) -> None:
    """Draft a past month's invoices, and let credits expire that end with it. Safe to repeat."""
    for step in DRAFTING:
        step(period)


def finalize(now: datetime) -> None:
    """Finalize the drafts that are due, then pay authors their shares. Safe to repeat."""
    for step in FINALIZING:
        step(now)
