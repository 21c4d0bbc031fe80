"""A month turns, and no workspace has to be published then: what its limits will be is in Valkey before."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from accounts.subscriptions import subscribe_tenant
from accounts.workspaces import playground_key
from core import months
from core import valkey as names
from inference.contract.route import RouteTables
from inference.quota import month_turn, scripts
from inference.quota.admission import CacheMiss, Caller
from metering import plans
from metering.quota_sync import snapshot
from metering.quota_sync.snapshot import publish_snapshot
from tests.inference.builders import BASE_PLACE, engine_rows, open_tables, publish_names
from tests.profiles import examples

pytestmark = pytest.mark.django_db(transaction=True)
APRIL, MAY = "2031-04", "2031-05"
TURN = datetime(2031, 5, 1, tzinfo=UTC)
LATE = TURN - timedelta(hours=1)
WORKSPACES = examples(1_000)


class Clock:
    """The time of Python and of admission."""

    def __init__(self, store) -> None:
        self.store = store
        self.move(LATE)

    def move(self, now: datetime) -> None:
        self.now = now
        self.store.hset("test:clock", mapping={"s": int(now.timestamp()), "us": 0})


@pytest.fixture
def clock(valkey, monkeypatch):
    clock = Clock(valkey)
    monkeypatch.setattr("django.utils.timezone.now", lambda: clock.now)
    monkeypatch.setattr(snapshot, "valkey_now", lambda: clock.now)
    return clock


@pytest.fixture
def copies(valkey, acme, clock):
    """Return what makes many workspaces of acme's snapshot, as Valkey knows them."""
    subscribe_tenant(acme, plans.newest_plan_version("writer"))
    key = playground_key(acme)

    def copy() -> list[str]:
        publish_snapshot(acme.pk)
        publish_names(acme.pk, {})
        open_tables()
        for period in (APRIL, MAY):
            valkey.hset(names.account_key(acme.pk, period), "used", 0)
        tenants = [f"copy-{number}" for number in range(WORKSPACES)]
        pipeline = valkey.pipeline(transaction=False)
        for tenant in tenants:
            pipeline.copy(names.limits_key(acme.pk), names.limits_key(tenant), replace=True)
            pipeline.copy(names.key_key(acme.pk, key.pk), names.key_key(tenant, "key"), replace=True)
            pipeline.copy(names.library_key(acme.pk), names.library_key(tenant), replace=True)
            for period in (APRIL, MAY):
                pipeline.copy(names.account_key(acme.pk, period), names.account_key(tenant, period))
        pipeline.execute()
        return tenants

    return copy


@pytest.fixture
def admission() -> str:
    return scripts.ADMISSION.replace("call('TIME')", "call('HMGET', 'test:clock', 's', 'us')")


@pytest.fixture
def ask_all(data_plane):
    """Ask for the base model for each of some workspaces at a moment; return how many are admitted."""
    tables = RouteTables()
    tables.replace({}, engine_rows([BASE_PLACE]))

    async def ask(tenant: str, period: str) -> bool:
        try:
            await data_plane.ask(Caller(tenant, "key"), tables=tables, model="base", period=period)
        except CacheMiss:
            return False
        return True

    async def ask_each(tenants: list[str], now: datetime) -> int:
        return sum(await asyncio.gather(*(ask(tenant, months.period_of(now)) for tenant in tenants)))

    return lambda tenants, now: data_plane.run(ask_each(tenants, now))


def test_no_workspace_is_published_when_the_month_turns(valkey, acme, clock, copies, ask_all):
    tenants = copies()
    assert ask_all(tenants, LATE) == WORKSPACES
    clock.move(TURN)
    assert ask_all(tenants, TURN) == WORKSPACES
    publish_snapshot(acme.pk)
    fresh = valkey.hgetall(names.limits_key(acme.pk))
    assert fresh["wallet"].startswith(MAY)
    assert valkey.hgetall(names.limits_key(tenants[-1])) == fresh
    assert valkey.ttl(names.limits_key(tenants[-1])) == -1  # never


def test_without_it_all_of_them_are(clock, copies, ask_all, monkeypatch):
    monkeypatch.setattr(snapshot, "COMING_KNOWN_BEFORE", timedelta(0))
    tenants = copies()
    clock.move(TURN)
    assert ask_all(tenants, TURN) == 0


def test_a_task_publishes_who_wrote_this_month_in_its_last_hours_and_each_once(valkey, acme, charlies, clock):
    clock.move(TURN - timedelta(hours=4))
    for tenant in (acme, charlies):
        publish_snapshot(tenant.pk)
    valkey.hset(names.account_key(acme.pk, APRIL), "used", 7)
    assert month_turn.prepare_changes(valkey, clock.now) == 0
    clock.move(LATE)
    assert month_turn.prepare_changes(valkey, clock.now) == 1
    assert valkey.hget(names.limits_key(acme.pk), "coming_at") == str(int(TURN.timestamp() * 1000))
    assert month_turn.prepare_changes(valkey, clock.now) == 0


def test_one_run_of_the_task_is_short(valkey, acme, charlies, clock, monkeypatch):
    monkeypatch.setattr(month_turn, "MAX_RUN_S", 0)
    clock.move(TURN - timedelta(hours=4))
    for tenant in (acme, charlies):
        publish_snapshot(tenant.pk)
        valkey.hset(names.account_key(tenant.pk, APRIL), "used", 7)
    clock.move(LATE)
    assert [month_turn.prepare_changes(valkey, clock.now) for _ in range(3)] == [1, 1, 0]
