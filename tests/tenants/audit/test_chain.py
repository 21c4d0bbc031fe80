"""The audit log's chain: what is changed, taken out or replaced is found, by the entry that shows it."""

from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tenants import audit
from tenants.audit import prune_log, record_audit
from tenants.models import AuditCheckpoint, AuditEntry
from tests.racing import race

OLD = timedelta(days=400)


def write(acme, count: int, *, old: int = 0) -> list[AuditEntry]:
    """Write and link entries, the first of them long ago."""
    for number in range(count):
        record_audit(None, action=f"test.{number}", row=acme, before={"é": 1.5}, after={"n": [number]})
    entries = list(AuditEntry.objects.order_by("pk"))
    with tampering():
        for entry in entries[:old]:
            AuditEntry.objects.filter(pk=entry.pk).update(at=timezone.now() - OLD)
    audit.link_all()
    return list(AuditEntry.objects.order_by("pk"))


@contextmanager
def tampering():
    """What somebody could do who owns the database: its triggers are off."""
    set_triggers("DISABLE")
    yield
    set_triggers("ENABLE")


def set_triggers(verb: str) -> None:
    with connection.cursor() as cursor:
        for table in ("tenants_auditentry", "tenants_auditcheckpoint"):
            cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE {table} {verb} TRIGGER USER")


def test_each_entry_follows_the_one_before(acme):
    entries = write(acme, 5)
    assert [entry.position for entry in entries] == [1, 2, 3, 4, 5]
    hashes = [entry.hash for entry in entries]
    assert [entry.previous_hash for entry in entries] == ["0" * 64, *hashes[:-1]]
    found = audit.verify_log()
    assert (found.entries, found.head, found.fault) == (5, audit.Head(5, hashes[-1]), None)


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "Another one"},
        {"action": "test.0"},
        {"before": {}},
        {"address": "192.0.2.1"},
        {"at": timezone.now()},
        {"actor": None, "object_name": "Nobody"},
    ],
)
def test_a_changed_entry_is_named(acme, change):
    entries = write(acme, 4)
    with tampering():
        AuditEntry.objects.filter(pk=entries[1].pk).update(**change)
    fault = audit.verify_log().fault
    assert fault.entry == entries[1]
    assert "changed" in fault.problem


def test_an_entry_that_is_changed_with_its_hash_shows_at_the_next_one(acme):
    entries = write(acme, 3)
    changed = entries[1]
    changed.reason = "Another one"
    hash_ = audit.hash_entry(changed, position=2, previous_hash=changed.previous_hash)
    with tampering():
        AuditEntry.objects.filter(pk=changed.pk).update(reason="Another one", hash=hash_)
    fault = audit.verify_log().fault
    assert fault.entry == entries[2]


def test_missing_entries_are_found_at_the_beginning_between_and_at_the_end(acme):
    entries = write(acme, 6)
    head = audit.read_head()
    with tampering():
        AuditEntry.objects.filter(pk=entries[5].pk).delete()
    assert audit.verify_log().fault is None  # only a head that was noted elsewhere tells
    assert str(head) in audit.verify_log(head).fault.problem
    with tampering():
        AuditEntry.objects.filter(pk=entries[2].pk).delete()
    assert "Entries 3 to 3 are missing" in audit.verify_log().fault.problem
    with tampering():
        AuditEntry.objects.filter(pk__in=[entries[0].pk, entries[1].pk]).delete()
    assert "Entries 1 to 3 are missing" in audit.verify_log().fault.problem


def test_the_database_lets_an_entry_be_linked_once_and_no_more(acme):
    entries = write(acme, 2)
    for change in (
        lambda: AuditEntry.objects.filter(pk=entries[0].pk).update(position=9, hash="f" * 64),
        lambda: AuditEntry.objects.filter(pk=entries[0].pk).update(position=None, hash=""),
        lambda: AuditEntry.objects.filter(pk=entries[0].pk).delete(),
        lambda: AuditEntry.objects.update(reason="Another one"),
        lambda: AuditEntry.objects.create(action="forged", position=3, hash="f" * 64),
        lambda: AuditCheckpoint.objects.create(position=2, hash=entries[1].hash),  # too young
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
    record_audit(None, action="test.late", row=acme)
    unlinked = AuditEntry.objects.filter(action="test.late")
    with pytest.raises(IntegrityError), transaction.atomic():
        unlinked.update(position=3, hash="f" * 64, reason="Smuggled in")


def test_an_entry_that_is_never_linked_is_a_fault(acme):
    write(acme, 2)
    entry = record_audit(None, action="test.late", row=acme)
    assert audit.verify_log().fault is None
    with tampering():
        AuditEntry.objects.filter(pk=entry.pk).update(at=timezone.now() - 2 * audit.LINKED_WITHIN)
    assert audit.verify_log().fault.entry == entry


def test_pruning_leaves_a_chain_that_can_be_verified_and_says_so(acme, settings):
    entries = write(acme, 6, old=4)
    settings.AUDIT_KEPT_DAYS = 0
    assert prune_log(timezone.now()) == 0
    settings.AUDIT_KEPT_DAYS = OLD.days // 2
    assert prune_log(timezone.now()) == 4
    audit.link_all()
    kept = list(AuditEntry.objects.order_by("position").values_list("action", flat=True))
    assert kept == ["test.4", "test.5", "audit.pruned"]
    found = audit.verify_log()
    assert (found.entries, found.fault) == (3, None)
    assert audit.read_beginning() == audit.Head(4, entries[3].hash)
    assert prune_log(timezone.now()) == 0
    with tampering():
        AuditEntry.objects.filter(action="audit.pruned").update(after={})
    assert audit.verify_log().fault


def test_a_checkpoint_that_no_entry_tells_of_is_a_fault(acme):
    entries = write(acme, 4, old=3)
    AuditCheckpoint.objects.create(position=2, hash=entries[1].hash)
    AuditEntry.objects.filter(position__lte=2).delete()
    assert "no entry records it" in audit.verify_log().fault.problem


@pytest.mark.django_db(transaction=True)
def test_writers_at_once_make_one_chain_without_waiting_for_each_other(acme):
    def write_some() -> None:
        for number in range(20):
            with transaction.atomic():
                record_audit(None, action=f"test.{number}", row=acme)

    race(*[write_some] * 4)
    audit.link_all()
    found = audit.verify_log()
    assert (found.entries, found.head.position, found.fault) == (80, 80, None)


@pytest.mark.django_db(transaction=True)
def test_an_entry_is_linked_as_soon_as_it_is_committed_and_waits_for_no_open_transaction(acme):
    with transaction.atomic():
        record_audit(None, action="test.open", row=acme)
        race(lambda: record_audit(None, action="test.beside", row=acme))
        assert AuditEntry.objects.get(action="test.beside").position == 1
    assert AuditEntry.objects.get(action="test.open").position == 2
    assert audit.verify_log().fault is None


def test_the_command_prints_the_head_and_fails_at_the_first_fault(acme):
    entries = write(acme, 3)
    out = StringIO()
    call_command("verify_audit", stdout=out)
    assert f"3:{entries[2].hash}" in out.getvalue()
    call_command("verify_audit", expect=f"2:{entries[1].hash}", stdout=out)
    with pytest.raises(CommandError, match="9:"):
        call_command("verify_audit", expect=f"9:{'a' * 64}", stdout=out)
    with pytest.raises(CommandError, match="'nonsense' is not a head"):
        call_command("verify_audit", expect="nonsense", stdout=out)
    with tampering():
        AuditEntry.objects.filter(pk=entries[1].pk).update(reason="Another one")
    with pytest.raises(CommandError, match=rf"Entry {entries[1].pk} \(position 2"):
        call_command("verify_audit", stdout=out)
