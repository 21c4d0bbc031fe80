"""Usage events lie in the partition of their month, replays meet there, and none waits for a partition."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from metering import partitions
from metering.ledger import record_events
from metering.models import LedgerEntry, UsageEvent
from tests.racing import race
from tests.tenants.builders import make_event

MONTH = "2031-05"
MAY = datetime(2031, 5, 31, 23, 59, 59, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_partition(transactional_db):
    """Take the partition away that a test makes."""
    yield
    with connection.cursor() as cursor:
        for month in (MONTH, "2031-06", "2031-07"):
            cursor.execute(f"DROP TABLE IF EXISTS {partitions.partition_name(month)}")


def tables_of(*request_ids) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM metering_usageevent WHERE request_id = ANY(%s) ORDER BY id",
            [list(request_ids)],
        )
        return [name for (name,) in cursor.fetchall()]


def test_an_event_of_a_month_without_a_partition_waits_in_the_rest_and_moves(acme):
    event = make_event(acme, admitted_at=MAY)
    record_events([event])
    assert tables_of(event.request_id) == ["metering_usageevent_rest"]
    before = UsageEvent.objects.values().get()
    assert partitions.make_partition(MONTH)
    assert tables_of(event.request_id) == ["metering_usageevent_2031_05"]
    assert UsageEvent.objects.values().get() == before
    record_events([event])
    assert UsageEvent.objects.count() == LedgerEntry.objects.count() == 1


def test_a_replay_lies_with_its_first_recording_whatever_the_clock_says(acme):
    """A machine's clock may be in June already: the period decides, and it is the hold's."""
    partitions.make_partitions(MAY)
    event = make_event(acme, admitted_at=MAY)
    other_clock = replace(event, admitted_at=datetime(2031, 6, 1, tzinfo=UTC))
    assert [record_events([one]) for one in (event, other_clock, event)] == [1, 0, 0]
    assert tables_of(event.request_id) == ["metering_usageevent_2031_05"]


def test_a_request_is_billed_once_even_if_another_month_is_told(acme):
    event = make_event(acme, admitted_at=MAY)
    record_events([event])
    assert record_events([replace(event, period="2031-06"), make_event(acme, admitted_at=MAY)]) == 1
    assert LedgerEntry.objects.count() == UsageEvent.objects.count() == 2


def test_two_may_make_partitions_at_once_and_repeat(acme):
    made = race(*[lambda: partitions.make_partitions(MAY)] * 2)
    assert sorted(made[0] + made[1]) == [MONTH, "2031-06", "2031-07"]
    assert partitions.make_partitions(MAY) == []


def test_who_waited_sees_the_partition_that_was_made_meanwhile(acme):
    name = partitions.partition_name(MONTH)
    with transaction.atomic(), connection.cursor() as cursor:
        assert not partitions.exists(cursor, name)
        race(lambda: partitions.make_partition(MONTH))
        assert partitions.exists(cursor, name)


def test_many_drains_write_while_a_partition_is_made(acme):
    """Each event is recorded once: in the rest and moved, or in the partition at once."""
    events = [make_event(acme, admitted_at=MAY) for _ in range(100)]
    waiting = iter(events)

    def drain() -> int:
        return sum(record_events([event]) for event in waiting)

    made, *recorded = race(lambda: partitions.make_partition(MONTH), *[drain] * 4)
    assert made
    assert sum(recorded) == LedgerEntry.objects.count() == 100
    assert set(tables_of(*[event.request_id for event in events])) == {"metering_usageevent_2031_05"}


def test_a_months_query_reads_its_partition_alone(acme):
    partitions.make_partitions(MAY)
    plan = UsageEvent.objects.filter(tenant=acme, period=MONTH).explain()
    assert "metering_usageevent_2031_05" in plan
    assert "rest" not in plan
    assert "2031_06" not in plan
