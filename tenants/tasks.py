"""Periodic tasks: pruning, thresholds, invoices, the delivery of webhooks and notices. Safe to repeat."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from core import valkey
from tenants.accounts import (
    adapter,
    deleted_workspaces,
    deletion,
    invitations,
    sessions,
    workspaces,
)
from tenants.api import idempotency
from tenants.audit import chain, pruning
from tenants.events import outbox
from tenants.metering import partitions, persons, request_log
from tenants.metering.version_stats import MINUTES_KEPT, prune_minutes
from tenants.notices import sending
from tenants.quota_sync import planned_changes, snapshot
from tenants.webhooks import delivery, endpoints

WEBHOOK_SWEEP_INTERVAL_S = 2
NOTICE_SWEEP_INTERVAL_S = 5
WEBHOOK_THREADS = 8  # of the worker, in stack/application.py and docker-compose.yml


@shared_task
def prune_sign_ups() -> None:
    """Delete accounts that nobody confirmed, ended invitations, and what is left of workspaces and people."""
    adapter.prune_unconfirmed()
    invitations.prune_expired()
    deleted_workspaces.prune_memberships()
    workspaces.prune_foundings()
    persons.prune_former_members(timezone.now())


@shared_task
def delete_workspaces() -> None:
    """Delete the workspaces that no owner kept within a day."""
    deletion.delete_due(timezone.now())


@shared_task
def prune_cached_answers() -> None:
    """Delete answers under an Idempotency-Key that are a day old."""
    idempotency.prune_answers(now=timezone.now())


@shared_task
def link_audit() -> None:
    """Link entries of the audit log whose own process did not."""
    chain.link_all()


@shared_task
def prune_audit() -> None:
    """Delete the oldest entries of the audit log, if the site keeps none for ever."""
    if settings.AUDIT_KEPT_DAYS:
        pruning.prune_log(before=timezone.now() - timedelta(days=settings.AUDIT_KEPT_DAYS))


@shared_task
def prune_sessions() -> None:
    """Delete expired sessions, and what the page "Sessions" says of them."""
    SessionStore.clear_expired()
    sessions.prune_user_sessions()


@shared_task
def prune_usage_minutes() -> None:
    """Delete usage by minute that is older than what canaries read."""
    prune_minutes(before=timezone.now() - MINUTES_KEPT)


@shared_task
def prune_refusals() -> None:
    """Delete refused requests that are two weeks old from the log."""
    request_log.prune_refusals(timezone.now())


@shared_task
def make_usage_partitions() -> None:
    """Make the tables of the coming months' usage events."""
    partitions.make_partitions(timezone.now())


@shared_task
def publish_planned_changes() -> None:
    """Publish what limits will be, some hours before they change by themselves. Safe to repeat."""
    planned_changes.publish_planned_changes(valkey.client(), timezone.now())


@shared_task
def prune_quota_snapshots() -> None:
    """Delete from Valkey what belongs to old months and dead keys."""
    snapshot.prune_snapshots()


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


@shared_task
def prune_events() -> None:
    """Delete events with all that was sent about them after a month, and replaced secrets of webhooks."""
    outbox.prune_events()
    endpoints.forget_previous_secrets()
