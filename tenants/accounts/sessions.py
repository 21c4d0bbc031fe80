"""What the page "Sessions" shows: a row a login, as long as its session lives."""

from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.utils import timezone

PRUNE_BATCH_SIZE = 1_000
YOUNG = timedelta(hours=1)  # the row may be there before its session is saved


def prune_user_sessions() -> int:
    """Delete the rows whose session has ended; return how many."""
    live_keys = Session.objects.values("session_key")
    old = UserSession.objects.filter(created_at__lt=timezone.now() - YOUNG)
    ended = old.exclude(session_key__in=live_keys)
    row_ids = list(ended.values_list("pk", flat=True)[:PRUNE_BATCH_SIZE])
    deleted: int
    deleted, _ = UserSession.objects.filter(pk__in=row_ids).delete()
    return deleted
