"""The first requests of a month find its accounts."""

from datetime import UTC, datetime, timedelta

import pytest

from core import months
from core import valkey as names
from inference.quota import ledger_drain, month_turn
from inference.quota.ledger_drain import rebuild_counters
from inference.quota.month_turn import prepare_changes
from metering.quota_sync import snapshot
from metering.quota_sync.snapshot import COMING_KNOWN_BEFORE

pytestmark = pytest.mark.django_db(transaction=True)
TURN = datetime(2026, 12, 1, tzinfo=UTC)
LATE = TURN - timedelta(minutes=10)


@pytest.fixture(autouse=True)
def _late(monkeypatch):
    """November ends in ten minutes, and a run lasts until all are ready, however slow the machine is."""
    monkeypatch.setattr(month_turn, "MAX_RUN_S", 600)
    monkeypatch.setattr("django.utils.timezone.now", lambda: LATE)
    monkeypatch.setattr(snapshot, "valkey_now", lambda: LATE)


@pytest.fixture(autouse=True)
def _accounts(_late, valkey, acme, charlies):
    """Two workspaces wrote in November."""
    for tenant in (acme, charlies):
        rebuild_counters(valkey, tenant.pk, "2026-11")
        valkey.hset(names.account_key(tenant.pk, "2026-11"), "used", 7)


def test_accounts_of_the_next_month_are_made_in_the_last_hours(valkey, acme, charlies):
    assert prepare_changes(valkey, TURN - COMING_KNOWN_BEFORE - timedelta(minutes=1)) == 0
    assert prepare_changes(valkey, LATE) == 2
    for tenant in (acme, charlies):
        assert valkey.hget(names.account_key(tenant.pk, "2026-12"), "used") == "0"
        assert valkey.hget(names.account_key(tenant.pk, "2026-11"), "used") == "7"
    assert prepare_changes(valkey, LATE) == 0


def test_an_account_that_is_there_stays_and_one_run_makes_only_some(valkey, acme, charlies, monkeypatch):
    monkeypatch.setattr(month_turn, "MAX_RUN_S", 0)
    valkey.hset(names.account_key(acme.pk, "2026-12"), "used", 3)
    other = names.account_key(charlies.pk, "2026-12")
    assert prepare_changes(valkey, LATE) == 1
    assert valkey.hget(names.account_key(acme.pk, "2026-12"), "used") == "3"
    valkey.delete(other, names.account_key(acme.pk, "2026-12"))
    assert [prepare_changes(valkey, LATE) for _ in range(3)] == [1, 1, 0]


def test_who_wrote_nothing_this_month_gets_no_account(valkey, acme, charlies):
    valkey.delete(names.account_key(acme.pk, "2026-11"))
    assert prepare_changes(valkey, LATE) == 1
    assert not valkey.exists(names.account_key(acme.pk, "2026-12"))


def test_the_coming_month_is_that_of_the_clock(valkey, acme):
    period = months.current()
    _, ends = months.bounds(period)
    rebuild_counters(valkey, acme.pk, period)
    prepare_changes(valkey, ends - timedelta(seconds=1))
    assert valkey.hget(names.account_key(acme.pk, months.period_of(ends)), "used") == "0"


def test_an_account_that_is_there_costs_no_reading_of_the_stream(valkey, acme, monkeypatch):
    monkeypatch.setattr(ledger_drain, "record_pending", None)
    rebuild_counters(valkey, acme.pk, "2026-11")
    assert valkey.hget(names.account_key(acme.pk, "2026-11"), "used") == "7"
