"""Archived months: whatever crashes, the file is the events, the ledger stays, late usage is billed."""

import csv
import gzip
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse

from adapters.object_store import read_object
from billing import archive, tasks
from billing.reconciliation import compare_invoices, compare_usage
from core import months
from core.errors import Unavailable
from tenants.metering import partitions
from tenants.metering.ledger import record_events, usage_of
from tenants.metering.usage import UsageArchived, UsageFilter, sum_usage, usage_events
from tenants.models import (
    ArchivedUsage,
    AuditEntry,
    Invoice,
    LedgerEntry,
    Subscription,
    Tenant,
    UsageArchive,
    UsageEvent,
)
from tests.billing.builders import bill, put_on
from tests.tenants.builders import make_event

MONTH = "2026-04"
APRIL = datetime(2026, 4, 12, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 26, tzinfo=UTC)
NAMES = ("request_id", "tenant_id", "style_name", "cost_nanousd", "outcome")

pytestmark = pytest.mark.django_db(transaction=True)


class Crash(BaseException):
    """Like a SIGKILL: nothing of ours catches it."""


@pytest.fixture
def april(transactional_db):
    """The partition of April; whatever is left of it goes at the end."""
    partitions.make_partition(MONTH)
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {partitions.partition_name(MONTH)}")


@pytest.fixture
def used(acme, april):
    """Acme's usage of April, on a final invoice."""
    Tenant.objects.filter(pk=acme.pk).update(created_at=APRIL - timedelta(days=30))
    put_on(acme, included_tokens=500, overage_allowed=True)
    Subscription.objects.filter(tenant=acme).update(starts_at=APRIL - timedelta(days=30))
    events = [make_event(acme, admitted_at=APRIL, style_name=name) for name in ("poetry", "legal", "a,\"b'")]
    events.append(
        make_event(
            acme,
            admitted_at=APRIL,
            prompt_tokens=0,
            completion_tokens=0,
            cost_nanousd=0,
            outcome="upstream_error",
        )
    )
    record_events(events)
    bill(acme, MONTH, NOW)
    return events


def archive_april() -> None:
    list(archive.archive_before("2026-05", now=NOW, reason="test"))


def read_file() -> list[dict[str, str]]:
    content = b"".join(read_object("archives/usage-2026-04.csv.gz"))
    return list(csv.DictReader(io.StringIO(gzip.decompress(content).decode())))


def test_a_month_becomes_a_file_and_everything_else_stays(acme, used):
    before = (usage_of(acme.pk, MONTH), list(LedgerEntry.objects.order_by("pk").values()))
    rows = list(UsageEvent.objects.order_by("pk").values())
    archive_april()
    assert not UsageEvent.objects.exists()
    assert (usage_of(acme.pk, MONTH), list(LedgerEntry.objects.order_by("pk").values())) == before
    written = read_file()
    for row, line in zip(rows, written, strict=True):
        assert {name: line[name] for name in NAMES} == {name: str(row[name]) for name in NAMES}
    archived = UsageArchive.objects.get()
    assert (archived.state, archived.events) == ("archived", len(used))
    assert archived.cost_nanousd == sum(event.cost_nanousd for event in used)
    [entry] = AuditEntry.objects.filter(action="usage.archived")
    assert entry.after["sha256"] == archived.sha256
    assert compare_usage(MONTH) == []
    assert compare_invoices(MONTH) == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", list(archive.STEPS))
def test_a_crash_at_each_step_changes_nothing_in_the_end(acme, used, monkeypatch, step, when):
    real = archive.STEPS[step]

    def crash(one, reason):
        if when == "after":
            real(one, reason)
        raise Crash

    monkeypatch.setattr(archive, "STEPS", {**archive.STEPS, step: crash})
    with pytest.raises(Crash):
        archive_april()
    assert compare_usage(MONTH) == [], "nothing is missing or doubled meanwhile"
    monkeypatch.undo()
    archive_april()
    archive_april()
    assert len(read_file()) == len(used)
    assert UsageArchive.objects.get().state == "archived"
    assert compare_usage(MONTH) == []
    with connection.cursor() as cursor:
        assert not partitions.exists(cursor, partitions.partition_name(MONTH))


def test_a_crash_while_the_file_is_written_leaves_no_file_that_counts(acme, used, monkeypatch):
    def half(key, chunks):
        next(iter(chunks))
        raise Crash

    monkeypatch.setattr(archive, "write_object", half)
    with pytest.raises(Crash):
        archive_april()
    assert UsageEvent.objects.count() == len(used)
    monkeypatch.undo()
    archive_april()
    assert UsageArchive.objects.get().state == "archived"


def test_a_replay_of_an_archived_request_is_not_recorded(acme, used):
    archive_april()
    assert record_events(used[:3]) == 0
    assert compare_usage(MONTH) == []


def test_a_file_that_is_not_the_ledger_deletes_nothing(acme, used):
    UsageEvent.objects.filter(request_id=used[0].request_id).update(completion_tokens=1)
    with pytest.raises(archive.FileDiffers, match="for acme"):
        archive_april()
    assert UsageEvent.objects.count() == len(used)
    assert not ArchivedUsage.objects.exists()


def test_a_file_that_storage_lost_a_row_of_deletes_nothing(acme, used, monkeypatch):
    """The row that is lost cost nothing, so that the ledger can't tell."""

    def lossy(key):
        lines = gzip.decompress(b"".join(read_object(key))).splitlines(keepends=True)
        yield gzip.compress(b"".join(line for line in lines if b"upstream_error" not in line))

    monkeypatch.setattr(archive, "read_object", lossy)
    with pytest.raises(archive.FileDamaged):
        archive_april()
    assert UsageEvent.objects.count() == len(used)


def test_months_that_are_too_recent_or_not_invoiced_stay(acme, april, capsys):
    present = months.current()
    with pytest.raises(CommandError, match="is too recent"):
        call_command("archive_usage", "--before", present)
    with pytest.raises(CommandError, match="is not a month"):
        call_command("archive_usage", "--before", "soon")
    record_events([make_event(acme, admitted_at=APRIL)])
    with pytest.raises(CommandError, match="not on a finalized invoice yet, for acme"):
        call_command("archive_usage", "--before", "2026-05")
    assert UsageEvent.objects.count() == 1


def test_pages_and_api_say_that_a_month_is_archived(acme, used, alice_client, settings):
    settings.SUPPORT_EMAIL = "support@example.com"
    archive_april()
    invoice = Invoice.objects.get()
    page = alice_client.get(reverse("billing:invoice", args=[invoice.pk])).text
    assert "request log against the ledger" in page
    assert reverse("api:usage_events") not in page
    with pytest.raises(UsageArchived, match="2026-05-01"):
        usage_events(acme, start=APRIL, end=None)
    assert usage_events(acme, start=datetime(2026, 5, 1, tzinfo=UTC), end=None).count() == 0
    with pytest.raises(UsageArchived, match=r"archives/usage-2026-04\.csv\.gz"):
        usage_events(acme, start=None, end=None)
    chosen = UsageFilter(acme, start=APRIL.date(), end=APRIL.date() + timedelta(days=9))
    with pytest.raises(UsageArchived):
        sum_usage(chosen, ["version"])
    log = alice_client.get(reverse("billing:requests"), {"month": MONTH}).text
    assert "We checked the log of April 2026 against the ledger" in log
    assert "archives/usage-2026-04.csv.gz" in log
    assert "No requests this month" not in log
    by_version = {"month": MONTH, "by": "version", "style": "poetry"}
    usage_page = alice_client.get(reverse("billing:usage"), by_version).text
    assert "Requests up to 2026-04-30 are archived" in usage_page
    exported = alice_client.get(reverse("billing:export_requests"), {"month": MONTH})
    assert 'filename="requests-2026-04-late.csv"' in exported["Content-Disposition"]
    rows = sum_usage(chosen, ["style"])
    assert sum(row["cost_sum"] for row in rows) == sum(event.cost_nanousd for event in used)


def test_the_console_lists_archives(acme, used, operator_client):
    archive_april()
    page = operator_client.get(reverse("admin:tenants_usagearchive_changelist")).text
    assert "archives/usage-2026-04.csv.gz" in page


def request_in_console(client, period: str, **facts: str):
    sent = {"period": period, "confirm": period, "why": "The disk is full", **facts}
    return client.post(reverse("admin:tenants_usagearchive_add"), sent)


def test_an_operator_has_a_month_archived_by_the_worker(acme, used, operator_client):
    page = operator_client.get(reverse("admin:tenants_usagearchive_add")).text
    assert f'<option value="{MONTH}">' in page
    assert months.current() not in page
    for wrong in ({"confirm": "2026-03"}, {"why": ""}, {"period": months.current()}):
        assert request_in_console(operator_client, **{"period": MONTH, **wrong}).status_code == 200
    assert not UsageArchive.objects.exists()
    assert request_in_console(operator_client, MONTH).status_code == 302
    assert UsageEvent.objects.count() == len(used), "a page only requests it"
    assert tasks.archive_usage() is None
    assert not UsageEvent.objects.exists()
    assert len(read_file()) == len(used)
    requested = AuditEntry.objects.get(action="add", object_type="tenants.usagearchive")
    assert (requested.reason, requested.actor.is_staff) == ("The disk is full", True)
    assert AuditEntry.objects.get(action="usage.archived").reason == "The disk is full"
    operator_client.post(reverse("admin:tenants_usagearchive_add"), {"period": MONTH, "confirm": MONTH})
    assert UsageArchive.objects.count() == 1


def test_what_the_worker_could_not_archive_says_why_and_waits_for_an_operator(acme, april, operator_client):
    record_events([make_event(acme, admitted_at=APRIL)])
    request_in_console(operator_client, MONTH)
    assert archive.archive_requested(NOW) == 0
    row = UsageArchive.objects.get()
    assert "not on a finalized invoice yet, for acme" in row.problem
    changelist = reverse("admin:tenants_usagearchive_changelist")
    assert "not on a finalized invoice yet" in operator_client.get(changelist).text
    put_on(acme, overage_allowed=True)
    bill(acme, MONTH, NOW)
    assert archive.archive_requested(NOW) == 0
    again = {"action": "try_again", "_selected_action": [row.pk], "confirmed": "1", "why": "Now it is"}
    operator_client.post(changelist, again)
    assert archive.archive_requested(NOW) == 1
    assert UsageArchive.objects.get().state == "archived"
    operator_client.post(changelist, again)
    assert archive.archive_requested(NOW) == 0


def test_while_the_storage_is_away_a_request_stays_and_is_tried_again(acme, used, monkeypatch):
    archive.request_archives(MONTH, now=NOW, reason="test")

    def fail(key, chunks):
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(archive, "write_object", fail)
        assert archive.archive_requested(NOW) == 0
    assert archive.archive_requested(NOW) == 1
    with pytest.raises(archive.NothingToArchive):
        archive.request_archives(MONTH, now=NOW, reason="test")
