"""Prune the oldest entries of the audit log; a checkpoint keeps the hash that the rest follows."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from tenants.audit.chain import PRUNED, Head
from tenants.audit.log import record_audit
from tenants.models import AuditCheckpoint, AuditEntry

BATCH_SIZE = 5_000


def prune_log(now: datetime) -> int:
    """Delete the oldest entries that are all older than AUDIT_KEPT_DAYS; return how many. 0 keeps all.

    A database trigger allows deletions only at or before a checkpoint, and refuses a checkpoint that no entry
    has or that is younger than 30 days.
    """
    if not settings.AUDIT_KEPT_DAYS:
        return 0
    before = now - timedelta(days=settings.AUDIT_KEPT_DAYS)
    end = _find_end(before)
    if end is None:
        return 0
    with transaction.atomic():
        checkpoint = AuditCheckpoint.objects.create(position=end.position, hash=end.hash)
        facts = {"position": end.position, "hash": end.hash, "before": before.isoformat()}
        record_audit(None, action=PRUNED, row=checkpoint, after=facts)
    return _delete_up_to(end.position)


def _find_end(before: datetime) -> Head | None:
    """Return the last entry of those in a row that are older than a moment."""
    linked = AuditEntry.objects.exclude(position=None)
    kept = linked.filter(at__gte=before).order_by("position").values_list("position", flat=True).first()
    old = linked.filter(at__lt=before) if kept is None else linked.filter(position__lt=kept)
    last = old.order_by("-position").first()
    return Head.of(last) if last else None


def _delete_up_to(position: int) -> int:
    total = 0
    while True:
        batch = AuditEntry.objects.filter(position__lte=position).order_by("position")[:BATCH_SIZE]
        deleted, _ = AuditEntry.objects.filter(pk__in=batch.values("pk")).delete()
        if not deleted:
            return total
        total += deleted
