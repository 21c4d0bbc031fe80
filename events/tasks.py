"""Periodic tasks: the delivery of webhooks and of mail about events. Safe to repeat."""

from celery import shared_task

from core.queues import interval_s
from events.notices import sending
from events.webhooks import delivery

WEBHOOK_THREADS = 8  # of the worker, in dev/stack/application.py and docker-compose.yml


@shared_task
def sweep_webhooks() -> None:
    """Wake as many threads of the webhooks' worker as endpoints have something to get."""
    for _ in range(delivery.count_due(at_most=WEBHOOK_THREADS)):
        deliver_webhooks.apply_async(expires=interval_s(sweep_webhooks.name))


@shared_task
def deliver_webhooks() -> None:
    """Deliver webhooks, endpoint after endpoint, while any are due."""
    delivery.deliver_due()


@shared_task
def sweep_notices() -> None:
    """Wake one thread of the webhooks' worker if mail waits and nobody sends it."""
    if sending.has_due():
        send_notices.apply_async(expires=interval_s(sweep_notices.name))


@shared_task
def send_notices() -> None:
    """Send mail about events, one after the other, while any is due."""
    sending.send_due()
