"""Closing a month, some workspaces at a time, so that several workers share it.

Each step is safe to repeat, and from two workers at once. A crash in or between any of them is mended by the
next run: `tests/inference/quota/test_month.py` crashes each.
"""

from collections.abc import Collection
from datetime import datetime
from itertools import batched
from uuid import UUID

from billing.invoices import invoices
from metering import credits

BATCH_SIZE = 20  # some seconds of one worker; what is lost with it waits an hour

type Batches = list[tuple[UUID, ...]]


def batches_to_draft(period: str) -> Batches:
    """Return the workspaces for which something is to be drafted, or to expire, of a past month."""
    unbilled = invoices.unbilled_workspaces(period).values_list("pk", flat=True)
    with_credits = credits.workspaces_with_ended_credits(period).values_list("pk", flat=True)
    return list(batched(sorted({*unbilled, *with_credits}), BATCH_SIZE))


def batches_to_finalize(now: datetime) -> Batches:
    """Return the drafts that are due, the oldest first."""
    due = invoices.due_drafts(now).values_list("pk", flat=True)
    return list(batched(due, BATCH_SIZE))


def draft(period: str, tenant_ids: Collection[UUID]) -> None:
    """Draft a past month's invoices of some workspaces, and let credits expire that end with it."""
    # Invoices first: they burn credits before the rest of these expires.
    invoices.draft_month(period, tenant_ids)
    credits.expire_ended_credits(period, tenant_ids)  # where no invoice is to burn of them
