"""Periodic tasks: each deletes what nobody needs any more. Safe to repeat."""

from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from tenants.accounts import adapter
from tenants.api import idempotency
from tenants.billing.figures import MINUTES_KEPT, prune_minutes
from tenants.quota_sync import snapshot


@shared_task
def prune_sign_ups() -> None:
    """Delete accounts whose address nobody confirmed."""
    adapter.prune_unconfirmed()


@shared_task
def prune_kept_answers() -> None:
    """Delete answers under an Idempotency-Key that are a day old."""
    idempotency.prune_answers(now=timezone.now())


@shared_task
def prune_sessions() -> None:
    """Delete expired sessions."""
    SessionStore.clear_expired()


@shared_task
def prune_usage_minutes() -> None:
    """Delete usage by minute that is older than what canaries read."""
    prune_minutes(before=timezone.now() - MINUTES_KEPT)


@shared_task
def prune_quota_snapshots() -> None:
    """Delete from Valkey what belongs to old months and dead keys."""
    snapshot.prune_snapshots()
