from functools import partial
from uuid import uuid4

import pytest
from django.db import OperationalError

from core import valkey as names
from inference.contract.usage import Usage
from inference.quota import ledger_drain
from inference.quota.admission import InFlight
from inference.quota.ledger_drain import drain_usage, rebuild_counters
from inference.quota.settlement import sweep_expired_holds
from metering.models import LedgerEntry, UsageEvent
from tests.inference.fakes import eventually
from tests.inference.quota.builders import begin, end
from tests.racing import race

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def three_settled(gateway, known):
    for _ in range(3):
        await end(gateway, await begin(gateway, known), prompt=7, completion=5)


def test_the_drain_moves_every_event_once_from_two_processes(three_settled, known, valkey):
    race(*(partial(drain_usage, valkey, consumer) for consumer in ("one", "other")))
    assert UsageEvent.objects.count() == LedgerEntry.objects.count() == 3
    assert known.events() == []
    assert known.used() == 36


def test_an_event_that_is_told_twice_counts_once(three_settled, known, valkey):
    stream = names.usage_key()
    for _, fields in valkey.xrange(stream):
        valkey.xadd(stream, fields)
    drain_usage(valkey, "c")
    assert LedgerEntry.objects.count() == 3


def test_what_a_dead_drain_took_is_taken_over(three_settled, known, valkey):
    stream = names.usage_key()
    valkey.xgroup_create(stream, ledger_drain.GROUP, id="0")
    valkey.xreadgroup(ledger_drain.GROUP, "dead", {stream: ">"})
    drain_usage(valkey, "c", take_over_after_ms=0)
    assert LedgerEntry.objects.count() == 3


def test_drains_that_ended_long_ago_are_forgotten_but_not_what_they_had_taken(three_settled, known, valkey):
    stream = names.usage_key()
    valkey.xgroup_create(stream, ledger_drain.GROUP, id="0")
    valkey.xreadgroup(ledger_drain.GROUP, "holds one", {stream: ">"}, count=1)
    valkey.xgroup_createconsumer(stream, ledger_drain.GROUP, "dead")
    assert ledger_drain.prune_consumers(valkey) == 0, "they may live"
    assert ledger_drain.prune_consumers(valkey, dead_after_ms=-1) == 1
    assert [one["name"] for one in valkey.xinfo_consumers(stream, ledger_drain.GROUP)] == ["holds one"]
    drain_usage(valkey, "c", take_over_after_ms=0)
    assert LedgerEntry.objects.count() == 3


async def test_a_dead_gateway_is_billed_its_last_heartbeat(gateway, known, valkey, monkeypatch):
    monkeypatch.setattr("inference.quota.admission.LEASE_MS", 100)
    monkeypatch.setattr("inference.quota.settlement.LEASE_MS", 100)
    grant = await begin(gateway, known, "dead")
    await gateway.meter.extend(InFlight.begin(grant, Usage(prompt=7, completion=2)))
    assert sweep_expired_holds(valkey) == 0
    await eventually(lambda: sweep_expired_holds(valkey) == 1)
    assert (known.used(), known.held()) == (9, 0)
    assert known.events()[0]["outcome"] == "swept"
    await end(gateway, grant, prompt=7, completion=9)
    assert known.used() == 9


def test_an_event_that_can_never_be_recorded_holds_up_no_other(three_settled, known, valkey):
    [_, fields], *_ = valkey.xrange(names.usage_key())
    valkey.xadd(names.usage_key(), fields | {"request": "poison", "key": str(uuid4())})
    assert drain_usage(valkey, "c") == 3
    assert valkey.xlen(names.refused_usage_key()) == 1
    assert known.events() == []


ODD = {
    "no fields": {"x": "1"},
    "no tenant's id": {"tenant": "acme"},
    "a tenant that is not there": {"tenant": str(uuid4())},
    "no number": {"prompt": "many"},
    "more than a column holds": {"completion": str(2**70)},
    "a time that no calendar has": {"admitted_ms": str(10**30)},
    "a period that is none": {"period": "2026-99-12"},
    "a zero byte": {"finish": "a\0b"},
    "no route": {"route": "["},
    "a lone surrogate": {"outcome": "\\ud800" * 30},
    "more cached than there is": {"cached": "999"},
    "no prices": {"prices": ""},
}


@pytest.mark.parametrize("oddity", ODD)
def test_whatever_is_wrong_with_an_event_it_is_set_apart_alone(three_settled, known, valkey, oddity):
    [_, fields], *_ = valkey.xrange(names.usage_key())
    odd = ODD[oddity] if oddity == "no fields" else fields | {"request": "odd"} | ODD[oddity]
    valkey.xadd(names.usage_key(), odd)
    valkey.delete(names.account_key(known.tenant, known.period))
    rebuild_counters(valkey, known.tenant, known.period)
    assert known.used() == 36
    assert drain_usage(valkey, "c") in (0, 3)  # a rebuild may have recorded them
    assert LedgerEntry.objects.count() == 3
    assert valkey.xlen(names.refused_usage_key()) == 1
    assert valkey.xlen(names.usage_key()) == 0


def test_a_database_that_is_away_sets_nothing_apart(three_settled, known, valkey, monkeypatch):
    def away(events):
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(ledger_drain, "record_events", away)
    with pytest.raises(OperationalError):
        drain_usage(valkey, "c")
    assert valkey.xlen(names.refused_usage_key()) == 0
    monkeypatch.undo()
    assert drain_usage(valkey, "c", take_over_after_ms=0) == 3


def test_a_rebuild_meets_a_drain_that_records_meanwhile(gateway, three_settled, known, valkey, monkeypatch):
    """What comes between its reading and its writing is counted once, recorded or not, deleted or not."""
    valkey.delete(names.account_key(known.tenant, known.period))
    [_, fields], *_ = valkey.xrange(names.usage_key())
    counted, late = ledger_drain.usage_of, iter(["drained before", "drained after", "not drained"])

    def while_others_work(tenant, period):
        kind = next(late, "")
        if kind:
            valkey.xadd(names.usage_key(), fields | {"request": kind})
        if kind == "drained before":
            drain_usage(valkey, "c")
        totals = counted(tenant, period)
        if kind == "drained after":
            drain_usage(valkey, "c")
        return totals

    monkeypatch.setattr(ledger_drain, "usage_of", while_others_work)
    rebuild_counters(valkey, known.tenant, known.period)
    assert known.used() == 6 * 12
    drain_usage(valkey, "c")
    assert LedgerEntry.objects.count() == 6


def test_a_flushed_valkey_is_rebuilt_from_the_ledger(three_settled, known, valkey):
    drain_usage(valkey, "c")
    valkey.flushdb()
    rebuild_counters(valkey, known.tenant, known.period)
    assert known.used() == 36


def test_a_rebuild_counts_events_that_are_still_on_their_way(three_settled, known, valkey):
    valkey.delete(names.account_key(known.tenant, known.period))
    rebuild_counters(valkey, known.tenant, known.period)
    assert known.used() == 36
    drain_usage(valkey, "c")
    assert LedgerEntry.objects.count() == 3
