"""Periodic tasks: the audit log, planned changes, the delivery of webhooks and notices. Safe to repeat."""

from celery import shared_task
from django.utils import timezone

from core import valkey
from tenants.accounts import deletion
from tenants.audit import chain
from tenants.metering import partitions
from tenants.notices import sending
from tenants.quota_sync import planned_changes
from tenants.webhooks import delivery

WEBHOOK_SWEEP_INTERVAL_S = 2
NOTICE_SWEEP_INTERVAL_S = 5
WEBHOOK_THREADS = 8  # of the worker, in dev/stack/application.py and docker-compose.yml


@shared_task
def delete_workspaces() -> None:
    """Delete the workspaces that no owner kept within a day."""
    deletion.delete_due(timezone.now())


@shared_task
def link_audit() -> None:
    """Link entries of the audit log whose own process did not."""
    chain.link_all()


@shared_task
def make_usage_partitions() -> None:
    """Make the tables of the coming months' usage events."""
    partitions.make_partitions(timezone.now())


@shared_task
def publish_planned_changes() -> None:
    """Publish what limits will be, some hours before they change by themselves. Safe to repeat."""
    planned_changes.publish_planned_changes(valkey.client(), timezone.now())


@shared_task
def sweep_webhooks() -> None:
    """Wake as many threads of the webhooks' worker as endpoints have something to get."""
    for _ in range(delivery.count_due(at_most=WEBHOOK_THREADS)):
        deliver_webhooks.apply_async(expires=WEBHOOK_SWEEP_INTERVAL_S)


@shared_task
def deliver_webhooks() -> None:
    """Deliver webhooks, endpoint after endpoint, while any are due."""
    delivery.deliver_due()


@shared_task
def sweep_notices() -> None:
    """Wake one thread of the webhooks' worker if mail waits and nobody sends it."""
    if sending.has_due():
        send_notices.apply_async(expires=NOTICE_SWEEP_INTERVAL_S)


@shared_task
def send_notices() -> None:
    """Send mail about events, one after the other, while any is due."""
    sending.send_due()
