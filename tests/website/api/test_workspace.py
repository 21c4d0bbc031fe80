"""The workspace, its audit log, usage and plan over the management API."""

import csv
import io
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone

from core import months
from metering.ledger import record_events, usage_of
from metering.models import LedgerEntry
from tenants.models import AuditEntry
from tests.tenants.api.builders import problem
from tests.tenants.builders import NOW, issue_key, make_event

pytestmark = pytest.mark.django_db


def test_the_workspace_is_renamed_and_bounded_by_owners_only(admin, with_key, bob_client, acme):
    got = admin.get("workspace")
    assert got.json()["slug"] == "acme"
    edited = admin.patch(
        "workspace", {"name": "Acme Prose", "monthly_nanousd": 12_500_000_000}, If_Match=got["ETag"]
    )
    assert edited.json()["monthly_usd"] == "12.50"
    acme.refresh_from_db()
    assert (acme.name, acme.monthly_nanousd) == ("Acme Prose", 12_500_000_000)
    entry = AuditEntry.objects.get(tenant=acme)
    assert entry.before == {"name": "Acme", "monthly_nanousd": None}
    problem(admin.patch("workspace", {"name": "Polyscribe"}), 400, "reserved_name")
    problem(admin.patch("workspace", {"slug": "x"}), 400, "invalid")
    problem(with_key("styles:write").patch("workspace", {"name": "x"}), 403, "insufficient_scope")
    assert with_key("inference").get("workspace").status_code == 200
    bobs = bob_client.patch("/api/v1/workspace", {"name": "Bob's"}, content_type="application/json")
    problem(bobs, 403, "role_not_allowed")


def test_the_audit_log_tells_members_what_was_done_and_strangers_nothing(
    admin, with_key, charlies, alice_client
):
    alice_client.post("/keys/issue/", {"name": "page's", "scopes": ["inference"]})
    made = admin.post("keys", {"name": "program's"}).json()
    log = admin.get("workspace/audit-log").json()["data"]
    assert [(entry["action"], bool(entry["actor"]), bool(entry["api_key"])) for entry in log] == [
        ("api_key.created", False, True),
        ("api_key.created", True, False),
    ]
    assert made["secret"] not in str(log)
    found = admin.get(f"workspace/audit-log?object_id={made['id']}").json()["data"]
    assert len(found) == 1
    assert with_key("admin", tenant=charlies).get("workspace/audit-log").json()["data"] == []
    problem(admin.get("workspace/audit-log?actor=x"), 400, "invalid")


@pytest.fixture
def used(acme, charlies):
    """Two days of two styles of Acme's, and something of a stranger's."""
    now = timezone.now()
    month_begins, _ = months.bounds(months.period_of(now))
    key, _ = issue_key(acme, name="letters", by=None)
    events = []
    for number in range(6):
        style = "poetry" if number % 2 else "acme/voice"
        at = month_begins + timedelta(minutes=number)
        events.append(make_event(acme, key, style_name=style, version_number=number % 3 + 1, admitted_at=at))
    events.append(make_event(charlies, style_name="poetry", admitted_at=month_begins))
    record_events(events)
    return key


def test_usage_sums_up_to_the_ledger_however_it_is_grouped(admin, acme, used):
    ledger = LedgerEntry.objects.filter(tenant=acme)
    cost = sum(entry.amount_nanousd for entry in ledger)
    tokens = usage_of(acme.pk, months.current()).tokens
    for groups in ("day", "style", "key", "version", "day,style", "style,version", "day,style,key,version"):
        report = admin.get(f"usage?group_by={groups}").json()
        rows = report["data"]
        assert sum(row["cost_nanousd"] for row in rows) == report["total"]["cost_nanousd"] == cost
        assert sum(row["prompt_tokens"] + row["completion_tokens"] for row in rows) == tokens
        assert sum(row["requests"] for row in rows) == 6
        named = {name for name in ("day", "style", "key", "version") if rows[0][name] is not None}
        assert named == set(groups.split(","))
    assert admin.get("usage?style=poetry").json()["total"]["requests"] == 3
    assert admin.get(f"usage?key={used.pk}").json()["total"]["requests"] == 6


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("group_by=colour", "invalid"),
        ("group_by=day,day", "invalid"),
        ("start=yesterday", "invalid"),
        ("start=2026-02-02&end=2026-02-02", "invalid_range"),
        ("start=2020-01-01&end=2026-01-01", "invalid_range"),
        ("group_by=version&start=2026-01-01&end=2026-03-01", "invalid_range"),
        ("key=x", "invalid"),
        ("style=a%00b", "invalid"),
        ("since=2026-01-01", "invalid"),
    ],
)
def test_a_wrong_span_is_refused(admin, query, code):
    problem(admin.get(f"usage?{query}"), 400, code)


def test_the_log_of_requests_is_paged_and_filtered(admin, used):
    first = admin.get("usage/events?limit=4").json()
    rest = admin.get(f"usage/events?limit=4&cursor={first['next_cursor']}").json()
    ids = [event["request_id"] for event in first["data"] + rest["data"]]
    assert len(ids) == len(set(ids)) == 6
    assert not rest["has_more"]
    assert len(admin.get("usage/events?style=poetry").json()["data"]) == 3
    assert admin.get("usage/events?outcome=upstream_error").json()["data"] == []
    problem(admin.get("usage/events?outcome=odd"), 400, "invalid")


@pytest.mark.django_db(transaction=True)
async def test_the_log_comes_as_csv_too(acme, valkey):
    _, secret = await sync_to_async(issue_key)(acme, name="reader", by=None, scopes=["usage:read"])
    events = await sync_to_async(lambda: [make_event(acme) for _ in range(3)])()
    before = NOW - timedelta(days=40)
    formula = await sync_to_async(make_event)(acme, style_name="=HYPERLINK(1)", admitted_at=before)
    events.append(formula)
    await sync_to_async(record_events)(events)
    headers = {"Authorization": f"Bearer {secret}", "Accept": "text/csv"}
    answer = await AsyncClient().get("/api/v1/usage/events", headers=headers)
    assert answer["Content-Type"] == "text/csv"
    text = b"".join([part async for part in answer.streaming_content]).decode()
    await sync_to_async(connections.close_all)()  # this thread's connection goes back
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["style"] for row in rows] == ["poetry", "poetry", "poetry", "'=HYPERLINK(1)"]
    assert {"request_id", "at", "cost_nanousd", "cost_usd"} <= set(rows[0])


def test_the_plan_tells_limits_prices_and_the_months_cost(admin, acme, used):
    billing = admin.get("billing").json()
    used_now = usage_of(acme.pk, months.current())
    assert billing["plan"]["code"] == "free"
    assert billing["month"]["cost_nanousd"] == used_now.nanousd
    assert billing["month"]["tokens"] == used_now.tokens
    assert billing["limits"]["private_styles"] > 0
    assert billing["prices"]["input_nanousd"] > 0
