"""The console's long lists and canaries' figures read no more than they show, however long the tables are."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core import console, months
from core.console import EstimatedPaginator
from metering.ledger import record_events
from metering.models import LedgerEntry, UsageEvent, UsageMinute
from metering.style_usage import VersionFigures, version_figures
from operations.retention import delete_old
from tests.tenants.builders import NOW

EVENTS = 600
TABLES = {"metering_usageevent", "metering_ledgerentry", "metering_usagedaily"}

QUERIES = [
    ("usageevent", {}),
    ("usageevent", {"outcome": "swept"}),
    ("usageevent", {"engine": "engine-1"}),
    ("usageevent", {"period": months.current()}),
    ("usageevent", {"q": "event-7"}),
    ("usageevent", {"q": "acme"}),
    ("ledgerentry", {}),
    ("ledgerentry", {"period": months.current()}),
    ("ledgerentry", {"kind": "grant"}),
    ("ledgerentry", {"q": "event-7"}),
    ("usagedaily", {}),
]


@pytest.fixture
def long(acme, event) -> None:
    """So many rows that PostgreSQL prefers an index wherever one serves."""
    one = event(acme, style=uuid4())
    record_events(
        replace(
            one, request_id=f"event-{n}", engine=f"engine-{n % 3}", admitted_at=NOW - timedelta(seconds=n)
        )
        for n in range(EVENTS)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def address(model: str) -> str:
    return reverse(f"admin:metering_{model}_changelist")


def scanned(sql: str) -> set[str]:
    """Return the long tables that a query reads from the first row to the last."""
    with connection.cursor() as cursor:
        # The tables are short here: is there another way at all?
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        (plan,) = cursor.fetchone()[0]
        cursor.execute("SET LOCAL enable_seqscan = on")
    return {
        node["Relation Name"]
        for node in nodes(plan["Plan"])
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in TABLES
    }


def nodes(plan: dict) -> list[dict]:
    return [plan, *(node for inner in plan.get("Plans", []) for node in nodes(inner))]


def test_lists_are_read_by_an_index(operator_client, long):
    for model, query in QUERIES:
        with CaptureQueriesContext(connection) as queries:
            assert operator_client.get(address(model), query).status_code == 200
        reads = [one["sql"] for one in queries if one["sql"].startswith(("SELECT", "WITH"))]
        of_long_tables = [sql for sql in reads if any(f'"{table}"' in sql for table in TABLES)]
        assert of_long_tables
        faults = {sql: found for sql in of_long_tables if (found := scanned(sql))}
        assert faults == {}, (model, query)
        assert not any("DISTINCT" in sql for sql in of_long_tables)


def test_a_long_list_is_as_long_as_postgresql_estimates_and_a_short_one_is_counted(long, monkeypatch):
    rows = UsageEvent.objects.order_by("-admitted_at")
    assert EstimatedPaginator(rows, 100).count == EVENTS
    monkeypatch.setattr(console, "MAX_COUNTED", 100)
    assert EVENTS * 0.8 < EstimatedPaginator(rows, 100).count < EVENTS * 1.2
    assert EstimatedPaginator(rows.filter(request_id="event-7"), 100).count == 1


def test_filters_find_what_they_say(operator_client, long):
    LedgerEntry.objects.create(
        tenant_id=UsageEvent.objects.first().tenant_id,
        kind="grant",
        source_id="g",
        period="2026-01",
        amount_nanousd=-1,
    )
    page = operator_client.get(address("usageevent"), {"engine": "engine-1"})
    assert page.context["cl"].result_count == EVENTS / 3
    assert [name for name, _ in page.context["cl"].filter_specs[2].lookup_choices] == [
        "engine-0",
        "engine-1",
        "engine-2",
    ]
    ledger = operator_client.get(address("ledgerentry"), {"period": "2026-01"})
    assert ledger.context["cl"].result_count == 1


def test_figures_read_minutes_and_of_the_first_one_the_events(acme, event):
    style = uuid4()
    begun = NOW.replace(second=30, microsecond=0)
    moments = [begun + timedelta(seconds=seconds) for seconds in (-1, 0, 29, 31, 90, 150)]
    record_events(
        event(acme, style=style, version_number=1, completion_tokens=5, admitted_at=at) for at in moments
    )
    record_events([event(acme, style=style, version_number=1, completion_tokens=5, admitted_at=moments[-1])])
    assert version_figures(style, begun) == {1: VersionFigures(6, 0, 0, 30)}
    # What follows comes from minutes.
    UsageEvent.objects.filter(admitted_at__gt=moments[2]).update(style=None)
    assert version_figures(style, begun) == {1: VersionFigures(6, 0, 0, 30)}
    assert delete_old("UsageMinute", moments[4].replace(second=0) + timedelta(days=40)) == 2
    assert UsageMinute.objects.count() == 2
