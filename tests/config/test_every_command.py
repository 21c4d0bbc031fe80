"""Every command of ours either changes nothing or writes the audit log, with itself as the actor."""

from io import StringIO

import pytest
from django.core.management import call_command, get_commands
from django.urls import reverse

from foundation import months
from tenants.audit import record_command
from tenants.models import AuditEntry

OURS = {"config", "tenants", "adapters", "inference"}
READS = {
    "capacity", "checkadapter", "doctor", "exporter", "reconcile", "runserver", "verify_audit",
}  # fmt: skip
# Command → its action in the log. Other tests run those that need a bucket or an engine.
CHANGES = {
    "archive_usage": "usage.archived",
    "backup": "backup.written",
    "merge_shards": "shards.merged",
    "publishstyles": "style.published",
    "rebuild_counters": "counters.rebuilt",
    "registerengine": "engine.registered",
    "restore": "backup.restored",
    "seal_secrets": "secrets.sealed",
    "seed": "operator.created",
}
UNAUDITED = {"seedlarge": "Makes up a large service for benchmarks."}


def test_every_command_is_known_here():
    names = {name for name, app in get_commands().items() if app in OURS}
    assert names == READS | CHANGES.keys() | UNAUDITED.keys()


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
def test_rebuilding_counters_is_written_down_for_each_workspace(operator_client, acme, charlies):
    call_command("rebuild_counters", "acme", stdout=StringIO())
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id, entry.actor) == (CHANGES["rebuild_counters"], str(acme.pk), None)
    assert entry.after["periods"][1] == months.current()
    shown = operator_client.get(reverse("admin:tenants_auditentry_changelist")).text
    assert "manage.py rebuild_counters" in shown


@pytest.mark.django_db
def test_sealing_secrets_is_written_down_once_for_all():
    call_command("seal_secrets", stdout=StringIO())
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_type) == (CHANGES["seal_secrets"], "service")
    assert entry.after == {"webhook_endpoints": 0, "second_factors": 0}


@pytest.mark.django_db
def test_what_is_no_row_is_the_service(operator_client):
    record_command("merge_shards", action=CHANGES["merge_shards"], after={"keys": 3})
    entry = AuditEntry.objects.get()
    assert (entry.object_type, entry.object_name) == ("service", "the service")
    page = reverse("admin:tenants_auditentry_change", args=[entry.pk])
    assert "manage.py merge_shards" in operator_client.get(page).text
