"""The chain of the audit log: each entry holds the hash of the one before it and of what it says itself.

An entry is linked right after the commit of what it records, by the process that wrote it or by the sweep,
whichever is first. So no change waits for another one's commit, and no lock is held beside a row's.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from core import log_lines
from tenants.models import ApiKey, AuditCheckpoint, AuditEntry, Tenant, User

LOCK = "audit: link entries"
BATCH_SIZE = 500
# Far longer than beat's sweep takes to come round.
LINKED_WITHIN = timedelta(minutes=10)
PRUNED = "audit.pruned"


@dataclass(frozen=True)
class Head:
    """The last entry of a chain: its place, from 1 on, and its hash."""

    position: int = 0
    hash: str = "0" * 64

    @classmethod
    def of(cls, entry: AuditEntry) -> "Head":
        """Return the place and hash of an entry that is linked."""
        return cls(int(entry.position or 0), entry.hash)

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"


@dataclass(frozen=True)
class Fault:
    """What is wrong with the log, and the first entry where it shows."""

    entry: AuditEntry | None
    problem: str


@dataclass(frozen=True)
class Verification:
    """What a verification found: its first fault, else how far the chain is whole."""

    entries: int
    head: Head
    fault: Fault | None = None


def hash_entry(entry: AuditEntry, *, position: int, previous_hash: str) -> str:
    """Return the SHA-256 of an entry in its place, in hexadecimal: of JSON with sorted keys and no spaces."""
    content = {
        "position": position,
        "previous_hash": previous_hash,
        "id": entry.pk,
        "at": entry.at.astimezone(UTC).isoformat(),
        "actor": entry.actor_id,
        "api_key": entry.api_key_id,
        "tenant": entry.tenant_id,
        "action": entry.action,
        "object_type": entry.object_type,
        "object_id": entry.object_id,
        "object_name": entry.object_name,
        "reason": entry.reason,
        "before": entry.before,
        "after": entry.after,
        "address": entry.address,
    }
    text = json.dumps(content, cls=DjangoJSONEncoder, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def link_entries() -> int:
    """Link what was written since, and return how many; 0 also while another process does it."""
    with transaction.atomic():
        # Nobody waits: the process that has the lock links what others wrote, too.
        if not _lock_chain():
            return 0
        entries = list(AuditEntry.objects.filter(position=None).order_by("pk")[:BATCH_SIZE])
        head = read_head()
        for entry in entries:
            entry.position = head.position + 1
            entry.previous_hash = head.hash
            entry.hash = hash_entry(entry, position=entry.position, previous_hash=head.hash)
            head = Head(entry.position, entry.hash)
        AuditEntry.objects.bulk_update(entries, ["position", "previous_hash", "hash"])
    return len(entries)


def link_all() -> int:
    """Link all that was written, batch by batch; return how many."""
    total = 0
    while linked := link_entries():
        total += linked
    return total


def read_head() -> Head:
    """Return the last link: an entry, else what pruning left."""
    linked = AuditEntry.objects.exclude(position=None).order_by("-position")
    newest = linked.first()
    return Head.of(newest) if newest else read_beginning()


def read_beginning() -> Head:
    """Return what the oldest entry follows: the newest checkpoint, or nothing."""
    checkpoints = AuditCheckpoint.objects.order_by("-position")
    newest = checkpoints.values_list("position", "hash").first()
    return Head(*newest) if newest else Head()


def verify_log(expected: Head | None = None) -> Verification:
    """Read the whole chain and return its first fault, or its head.

    `expected` is a head that was noted elsewhere, which the chain must hold: so the end can't be cut off.
    """
    before = read_beginning()
    entries = 0
    is_expected_seen = expected is None or expected in (before, Head())
    linked = AuditEntry.objects.exclude(position=None).order_by("position")
    for entry in linked.iterator(chunk_size=2000):
        problem = _find_problem(entry, before)
        if problem:
            return Verification(entries, before, Fault(entry, problem))
        before = Head.of(entry)
        entries += 1
        is_expected_seen = is_expected_seen or before == expected
    if not is_expected_seen:
        return Verification(
            entries, before, Fault(None, f"There is no entry with the position and hash {expected}.")
        )
    # Only where the chain itself is sound: its faults say more.
    for fault in _find_faults_beside():
        return Verification(entries, before, fault)
    return Verification(entries, before)


def _find_problem(entry: AuditEntry, before: Head) -> str:
    """Return what is wrong with the link between an entry and the one before; "" if nothing is."""
    if entry.position != before.position + 1:
        return f"Entries {before.position + 1} to {int(entry.position or 0) - 1} are missing before it."
    if entry.previous_hash != before.hash:
        return "It doesn't follow the previous entry, which was changed or replaced."
    if entry.hash != hash_entry(entry, position=entry.position, previous_hash=before.hash):
        return "Its content doesn't match its hash: it was changed."
    return ""


def _find_faults_beside() -> Iterator[Fault]:
    """Yield entries that nobody linked in time, and prunings that the log does not tell of."""
    late = AuditEntry.objects.filter(position=None, at__lt=timezone.now() - LINKED_WITHIN)
    for entry in late.order_by("pk")[:1]:
        yield Fault(entry, "It is not in the chain yet, although it is old. Is beat running?")
    checkpoint = AuditCheckpoint.objects.order_by("-position").first()
    if checkpoint:
        facts = {"position": checkpoint.position, "hash": checkpoint.hash}
        if not AuditEntry.objects.filter(action=PRUNED, after__contains=facts).exists():
            yield Fault(None, f"Entries up to {checkpoint.position} were pruned, but no entry records it.")


def _lock_chain() -> bool:
    """Return whether this transaction alone may link, until its end. Nobody waits for it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [LOCK])
        return bool(cursor.fetchone()[0])


# Write the audit log.

BY_COMMAND = "manage.py "  # begins the reason of what a command did
SERVICE = "service"  # the kind of what is no row


def record_audit(
    actor: User | None,
    *,
    action: str,
    row: Model,
    reason: str = "",
    name: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    address: str | None = None,
    tenant: Tenant | None = None,
    api_key: ApiKey | None = None,
) -> AuditEntry:
    """Record who did what to a row, and why. `before` and `after` hold only what changed.

    The actor is a person, or a program that sent `api_key`. With a tenant, its members read the entry, too.
    Call it in the transaction of the change, so that both are saved or neither.
    """
    return _write_entry(
        actor=actor,
        api_key=api_key,
        tenant=tenant,
        action=action,
        object_type=row._meta.label_lower,
        object_id=str(row.pk),
        object_name=(name or str(row))[:200],
        reason=reason[:300],
        before=dict(before or {}),
        after=dict(after or {}),
        address=address,
    )


def record_command(
    command: str,
    *,
    action: str,
    row: Model | None = None,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> AuditEntry:
    """Record what `manage.py COMMAND` did to a row, else to the service as a whole.

    The command is the actor: who runs it on the machine is not known here.
    """
    return _write_entry(
        action=action,
        object_type=row._meta.label_lower if row else SERVICE,
        object_id=str(row.pk) if row else "",
        object_name=str(row)[:200] if row else "the service",
        reason=f"{BY_COMMAND}{command}"[:300],
        before=dict(before or {}),
        after=dict(after or {}),
    )


def _write_entry(**facts: object) -> AuditEntry:
    entry = AuditEntry.objects.create(**facts)
    if log_lines.is_json():
        transaction.on_commit(partial(log_lines.write_line, "action", _facts_of(entry)))
    # After the commit: a lock that is held until then would make all changes of the service wait in one line.
    transaction.on_commit(link_entries, robust=True)
    return entry


def _facts_of(entry: AuditEntry) -> dict[str, object]:
    """Return what the log says of an action: ids. Names, reasons and values stay in the audit log."""
    facts = {
        "action": entry.action,
        "object_type": entry.object_type,
        "object_id": entry.object_id,
        "workspace": str(entry.tenant_id or ""),
        "user": str(entry.actor_id or ""),
        "key": str(entry.api_key_id or ""),
        "entry": str(entry.pk),
    }
    return {name: value for name, value in facts.items() if value}


# Prune the oldest entries of the audit log; a checkpoint keeps the hash that the rest follows.

PRUNED_AT_ONCE = 5_000


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
        batch = AuditEntry.objects.filter(position__lte=position).order_by("position")[:PRUNED_AT_ONCE]
        deleted, _ = AuditEntry.objects.filter(pk__in=batch.values("pk")).delete()
        if not deleted:
            return total
        total += deleted
