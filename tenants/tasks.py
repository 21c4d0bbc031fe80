"""What beat asks for, again and again: pruning what nobody needs any more. Safe to repeat."""

from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from tenants.accounts import adapter
from tenants.billing.figures import MINUTES_KEPT, prune_minutes
from tenants.quota_sync import snapshot


@shared_task
def prune_sign_ups() -> None:
    """Delete accounts whose address nobody confirmed."""
    adapter.prune_unconfirmed()


@shared_task
def prune_sessions() -> None:
    """Delete sessions that are over."""
    SessionStore.clear_expired()


@shared_task
def prune_usage_minutes() -> None:
    """Delete minutes that are older than any canary's figures."""
    prune_minutes(before=timezone.now() - MINUTES_KEPT)


@shared_task
def prune_gate() -> None:
    """End what Valkey keeps of old months and dead keys."""
    snapshot.prune_snapshots()
