"""The scheduled work of the ledger: beat starts each task, and each is safe to repeat."""

import os
import socket

from celery import current_app, shared_task
from django.utils import timezone

from core import months, valkey
from core.queues import interval_s
from inference.quota import ledger_drain, month_turn, refusal_log, settlement


@shared_task
def drain() -> None:
    """Move usage events into the ledger. Safe to repeat."""
    consumer = f"{socket.gethostname()}-{os.getpid()}"
    ledger_drain.drain_usage(valkey.client(), consumer)


@shared_task
def drain_refusals() -> None:
    """Move refused requests into the workspaces' logs. Safe to repeat."""
    refusal_log.drain_refusals(valkey.client())


@shared_task
def sweep() -> None:
    """Settle requests whose process died. Safe to repeat."""
    settlement.sweep_expired_holds(valkey.client())


MONTHS_BACK = 3  # a month whose closing failed is tried again in the next ones
# Named, not imported: a gateway process would load what only workers and pages need.
DRAFT_INVOICES = "billing.tasks.draft_invoices"


@shared_task
def close_month() -> None:
    """Have the invoices of past months drafted of which no request is open. Safe to repeat."""
    client = valkey.client()
    open_periods = settlement.open_periods(client)
    drain()
    period = months.current()
    for _ in range(MONTHS_BACK):
        period = months.before(period)
        if period not in open_periods:
            current_app.send_task(DRAFT_INVOICES, (period,), expires=interval_s(close_month.name))


@shared_task
def prepare_changes() -> None:
    """Make limits and accounts ready, some at a time, in the hours before they change. Safe to repeat."""
    month_turn.prepare_changes(valkey.client(), timezone.now())
