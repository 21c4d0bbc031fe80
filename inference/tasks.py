"""The scheduled work of the ledger: beat starts each task, and each is safe to repeat."""

import os
import socket

from celery import shared_task

from foundation import months, valkey
from inference.quota import ledger_drain, settlement
from tenants.public import draft_invoices


@shared_task
def drain() -> None:
    """Move usage events into the ledger. Safe to repeat."""
    consumer = f"{socket.gethostname()}-{os.getpid()}"
    ledger_drain.drain_usage(valkey.client(), consumer)


@shared_task
def sweep() -> None:
    """Settle requests whose process died. Safe to repeat."""
    settlement.sweep_expired_holds(valkey.client())


MONTHS_BACK = 3  # a month whose closing failed is tried again in the next ones
CLOSE_INTERVAL_S = 3600


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
            draft_invoices.apply_async((period,), expires=CLOSE_INTERVAL_S)


@shared_task
def prune_consumers() -> None:
    """Take drains that ended long ago out of the stream's group. Safe to repeat."""
    ledger_drain.prune_consumers(valkey.client())
