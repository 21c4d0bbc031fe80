"""Operators search the audit log, and take what they found with them."""

import csv
import io
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from tenants import admin as audit_page
from tenants.audit import record_audit
from tenants.models import AuditEntry

LIST = reverse("admin:tenants_auditentry_changelist")
EXPORT = reverse("admin:tenants_auditentry_export")


@pytest.fixture
def entries(acme, charlies, alice, operator) -> None:
    record_audit(alice, action="style.created", row=acme, name="=Rain()", tenant=acme, address="192.0.2.7")
    record_audit(None, action="style.created", row=charlies, tenant=charlies)
    record_audit(operator, action="suspend", row=acme, reason="A flood of spam", after={"since": "now"})


def found(client, **query: str) -> list[dict[str, str]]:
    answer = client.get(EXPORT, query)
    assert answer["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ({"q": "ALICE@example.org"}, ["style.created"]),
        ({"q": "flood of"}, ["suspend"]),
        ({"q": "charlies-prose"}, ["style.created"]),
        ({"q": "192.0.2.7"}, ["style.created"]),
        ({"q": "nobody wrote this"}, []),
        ({"action": "suspend"}, ["suspend"]),
        ({"object_type": "tenants.tenant"}, ["suspend", "style.created", "style.created"]),
    ],
)
def test_the_list_is_searched_and_exported_as_it_is_filtered(operator_client, entries, query, actions):
    shown = operator_client.get(LIST, query)
    assert [entry.action for entry in shown.context["cl"].result_list] == actions
    assert [row["action"] for row in found(operator_client, **query)] == actions


def test_a_range_of_time_is_a_filter(operator_client, entries):
    tomorrow = timezone.now() + timedelta(days=1)
    shown = operator_client.get(LIST, {"at_from_0": f"{tomorrow:%Y-%m-%d}", "at_from_1": "00:00:00"})
    assert not shown.context["cl"].result_list
    until = {"at_to_0": f"{tomorrow:%Y-%m-%d}", "at_to_1": "", "at_from_0": "no date"}
    assert len(operator_client.get(LIST, until).context["cl"].result_list) == 3


def test_an_export_says_all_is_no_formula_and_is_audited(operator_client, entries, operator):
    rows = found(operator_client, action="style.created")
    assert [row["object_name"] for row in rows] == ["Charlie's Prose", "'=Rain()"]
    assert rows[1]["actor"] == "alice@example.org"
    assert (rows[1]["tenant"], rows[1]["address"]) == ("acme", "192.0.2.7")
    entry = AuditEntry.objects.get(action="audit.exported")
    assert entry.actor == operator
    assert entry.after == {"entries": 2, "filters": {"action": "style.created"}}


def test_too_much_is_not_exported_and_the_page_says_why(operator_client, entries, monkeypatch):
    monkeypatch.setattr(audit_page, "MAX_EXPORTED", 2)
    answer = operator_client.get(EXPORT, {"object_type": "tenants.tenant"}, follow=True)
    assert "Narrow the list to at most 2 entries" in answer.text
    assert answer.redirect_chain[0][0].endswith("?object_type=tenants.tenant")
    assert len(found(operator_client, action="suspend")) == 1


def test_an_entry_shows_before_and_after_and_its_place_in_the_chain(operator_client, entries):
    entry = AuditEntry.objects.get(action="suspend")
    shown = operator_client.get(reverse("admin:tenants_auditentry_change", args=[entry.pk])).text
    assert "&quot;since&quot;: &quot;now&quot;" in shown
    assert "A flood of spam" in shown


def test_who_may_not_read_the_log_exports_nothing(alice_client, entries, alice):
    assert alice_client.get(EXPORT).status_code == 302
    alice.is_staff = True
    alice.save()
    assert alice_client.get(EXPORT).status_code == 403
