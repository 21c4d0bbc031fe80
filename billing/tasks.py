"""Periodic tasks: invoices, payments, authors' shares, thresholds. Safe to repeat.

A month is closed some workspaces at a time, so that several workers share it. A crash in or between the steps
is mended by the next run: `tests/inference/quota/test_month.py` crashes each.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import batched
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from billing import author_shares, thresholds
from billing.invoices import invoices
from billing.payments import auto_top_up, payments
from core.queues import interval_s
from metering import credits, earnings

BATCH_SIZE = 20  # some seconds of one worker; what is lost with it waits an hour

type Batches = list[tuple[UUID, ...]]
CLOSE_MONTH = "inference.tasks.close_month"  # what has months drafted


def batches_to_draft(period: str) -> Batches:
    """Return the workspaces for which something is to be drafted, or to expire, of a past month."""
    unbilled = invoices.unbilled_workspaces(period).values_list("pk", flat=True)
    with_credits = credits.workspaces_with_ended_credits(period).values_list("pk", flat=True)
    return list(batched(sorted({*unbilled, *with_credits}), BATCH_SIZE))


def batches_to_finalize(now: datetime) -> Batches:
    """Return the drafts that are due, the oldest first."""
    due = invoices.due_drafts(now).values_list("pk", flat=True)
    return list(batched(due, BATCH_SIZE))


@shared_task
def draft_invoices(period: str) -> None:
    """Draft the invoices of a month once none of its requests are open."""
    for tenant_ids in batches_to_draft(period):
        draft_batch.apply_async((period, tenant_ids), expires=interval_s(CLOSE_MONTH))


@shared_task
def draft_batch(period: str, tenant_ids: Sequence[UUID]) -> None:
    """Draft a past month's invoices of some workspaces, and let credits expire that end with it.

    Safe to repeat.
    """
    # Invoices first: they burn credits before the rest of these expires.
    invoices.draft_month(period, tenant_ids)
    credits.expire_ended_credits(period, tenant_ids)  # where no invoice is to burn of them


@shared_task
def finalize_invoices() -> None:
    """Have the invoices finalized that were drafts for a day, and pay authors their shares of that month."""
    now = timezone.now()
    for invoice_ids in batches_to_finalize(now):
        finalize_batch.apply_async((invoice_ids,), expires=interval_s(finalize_invoices.name))
    author_shares.pay_due(now)


@shared_task
def decide_author_shares() -> None:
    """Decide what authors have earned this month and in the one before. Safe to repeat."""
    earnings.decide_shares(timezone.now(), months_back=1)


@shared_task
def finalize_batch(invoice_ids: Sequence[UUID]) -> None:
    """Finalize some drafts that are due. Safe to repeat."""
    invoices.finalize_due(timezone.now(), invoice_ids)


@shared_task
def sweep_payments() -> None:
    """Ask the payment provider what came of open payments whose event got lost."""
    payments.sweep_payments(timezone.now())


@shared_task
def top_up() -> None:
    """Top up workspaces that have fewer credits left than they want."""
    auto_top_up.top_up_due(timezone.now())


@shared_task
def check_thresholds() -> None:
    """Record that workspaces have reached 50, 80 or 100 % of a month's limit."""
    thresholds.check_thresholds(timezone.now())
