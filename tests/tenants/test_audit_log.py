"""The page "Audit log": filters, pages, CSV."""

import csv
import io
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.urls import reverse
from django.utils import timezone

from tenants import views as page
from tenants.access import Access
from tenants.models import AuditEntry
from tests.tenants.builders import issue_key, read_stream

pytestmark = pytest.mark.django_db

LOG = reverse("tenants:audit_log")


@pytest.fixture
def log(owner, stranger, bob, acme):
    """Three entries of Acme's, by two persons and a key, and one of a stranger."""
    key, _ = issue_key(acme, name="nightly", by=None)
    owner.audit("workspace.edited", acme, before={"name": "=1+1"})
    Access(tenant=acme, user=bob, role="member").audit("api_key.created", key)
    Access(tenant=acme, key=key).audit("style.created", acme)
    stranger.audit("workspace.edited", stranger.tenant)


def actions(answer) -> list[str]:
    return [row["entry"].action for row in answer.context["rows"]]


def test_it_is_searched_by_action_person_and_day(log, alice_client):
    assert actions(alice_client.get(LOG)) == ["style.created", "api_key.created", "workspace.edited"]
    assert actions(alice_client.get(LOG, {"action": "api_key.created"})) == ["api_key.created"]
    assert actions(alice_client.get(LOG, {"person": "BOB@"})) == ["api_key.created"]
    assert actions(alice_client.get(LOG, {"person": "nightly"})) == ["style.created"]
    today = timezone.now().date()
    assert len(actions(alice_client.get(LOG, {"first_day": today, "last_day": today}))) == 3
    assert actions(alice_client.get(LOG, {"last_day": today - timedelta(days=1)})) == []


def test_bad_filters_are_said_beside_the_field(log, alice_client):
    answer = alice_client.get(LOG, {"first_day": "yesterday"})
    assert answer.status_code == 400
    assert "Enter a valid date" in answer.text
    assert alice_client.get(LOG, {"before": "9" * 40}).status_code == 200


def test_older_entries_follow_the_last_one_shown(log, alice_client, monkeypatch):
    monkeypatch.setattr(page, "ENTRIES_SHOWN", 2)
    first = alice_client.get(LOG, {"person": ""})
    assert actions(first) == ["style.created", "api_key.created"]
    second = alice_client.get(f"{LOG}?{first.context['older']}")
    assert actions(second) == ["workspace.edited"]
    assert not second.context["older"]


def test_the_table_is_complete_and_runs_no_formula(log, alice_client, acme):
    acme.name = "=HYPERLINK(1)"
    Access(tenant=acme, user=None, role=None).audit("workspace.edited", acme)
    answer = alice_client.get(reverse("tenants:audit_log_csv"), {"action": "workspace.edited"})
    assert answer["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(async_to_sync(read_stream)(answer))))
    assert [row["actor"] for row in rows] == ["Polyscribe", "alice@example.org"]
    assert rows[0]["object_name"] == "'=HYPERLINK(1)"


def test_the_api_searches_the_same(log, alice_client, valkey):
    found = alice_client.get("/api/v1/workspace/audit-log?person=bob").json()["data"]
    assert [entry["action"] for entry in found] == ["api_key.created"]
    assert alice_client.get("/api/v1/workspace/audit-log?first_day=x").status_code == 400


def test_a_page_of_a_large_log_takes_few_queries(alice_client, alice, acme, django_assert_max_num_queries):
    entry = dict(actor=alice, tenant=acme, action="a.b", object_type="t", object_id="1", object_name="n")
    AuditEntry.objects.bulk_create(AuditEntry(**entry) for _ in range(500))
    alice_client.get(LOG)
    with django_assert_max_num_queries(8):
        assert len(alice_client.get(LOG).context["rows"]) == page.ENTRIES_SHOWN
