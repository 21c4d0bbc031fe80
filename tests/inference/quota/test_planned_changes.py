"""A month turns, and no workspace has to be published then: what its limits will be is in Valkey before."""

from datetime import UTC, datetime, timedelta

import pytest

from core import months
from core import valkey as names
from inference.quota import scripts
from tenants.accounts.subscriptions import subscribe_tenant
from tenants.api_keys.lifecycle import playground_key
from tenants.metering import plans
from tenants.public import publish_snapshot
from tenants.quota_sync import planned_changes, snapshot
from tests.inference.builders import open_tables, publish_names

pytestmark = pytest.mark.django_db(transaction=True)
APRIL, MAY = "2031-04", "2031-05"
TURN = datetime(2031, 5, 1, tzinfo=UTC)
LATE = TURN - timedelta(hours=1)
WORKSPACES = 5_000


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
    """Return what makes 5,000 workspaces of acme's snapshot, as Valkey knows them."""
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
            pipeline.hset(names.limits_key(tenant), "pool_id", tenant)
            pipeline.copy(names.key_key(acme.pk, key.pk), names.key_key(tenant, "key"), replace=True)
            pipeline.copy(names.library_key(acme.pk), names.library_key(tenant), replace=True)
            for period in (APRIL, MAY):
                pipeline.copy(names.account_key(acme.pk, period), names.account_key(tenant, period))
        pipeline.execute()
        return tenants

    return copy


def ask_all(valkey, tenants: list[str], now: datetime) -> list[str]:
    """Return the verdict of admission about one request of each workspace."""
    moved = scripts.ADMISSION.replace("call('TIME')", "call('HMGET', 'test:clock', 's', 'us')")
    admission = valkey.register_script(moved)
    period = months.period_of(now)
    bounds_ms = [int(bound.timestamp() * 1000) for bound in months.bounds(period)]
    pipeline = valkey.pipeline(transaction=False)
    for tenant in tenants:
        keys = [
            names.limits_key(tenant), names.key_key(tenant, "key"), names.library_key(tenant),
            names.account_key(tenant, period), names.bucket_key(tenant), names.hold_key(tenant, "r"),
            names.leases_key(), names.suspect_key(tenant, ""), names.route_versions_key(),
            names.pool_account_key(tenant, period), names.route_styles_key(), names.route_incarnation_key(),
        ]  # fmt: skip
        args = ["r", tenant, "key", "base", 10, 20, 1, period, *bounds_ms, 60_000, 1, 0, 10, 2048, tenant]
        admission(keys, args, client=pipeline)
    return [answer[0] for answer in pipeline.execute()]


def test_no_workspace_is_published_when_the_month_turns(valkey, acme, clock, copies):
    tenants = copies()
    assert set(ask_all(valkey, tenants, LATE)) == {"admitted"}
    clock.move(TURN)
    assert ask_all(valkey, tenants, TURN).count("cache_miss") == 0
    publish_snapshot(acme.pk)
    fresh = valkey.hgetall(names.limits_key(acme.pk))
    assert fresh["wallet"].startswith(MAY)
    assert valkey.hgetall(names.limits_key(tenants[-1])) == fresh | {"pool_id": tenants[-1]}
    assert valkey.ttl(names.limits_key(tenants[-1])) == -1  # never


def test_without_it_all_of_them_are(valkey, clock, copies, monkeypatch):
    monkeypatch.setattr(snapshot, "COMING_KNOWN_BEFORE", timedelta(0))
    tenants = copies()
    clock.move(TURN)
    assert ask_all(valkey, tenants, TURN).count("cache_miss") == WORKSPACES


def test_a_task_publishes_who_wrote_this_month_in_its_last_hours_and_each_once(valkey, acme, charlies, clock):
    clock.move(TURN - timedelta(hours=4))
    for tenant in (acme, charlies):
        publish_snapshot(tenant.pk)
    valkey.hset(names.account_key(acme.pk, APRIL), "used", 7)
    assert planned_changes.publish_planned_changes(valkey, clock.now) == 0
    clock.move(LATE)
    assert planned_changes.publish_planned_changes(valkey, clock.now) == 1
    assert valkey.hget(names.limits_key(acme.pk), "coming_at") == str(int(TURN.timestamp() * 1000))
    assert planned_changes.publish_planned_changes(valkey, clock.now) == 0


def test_one_run_of_the_task_is_short(valkey, acme, charlies, clock, monkeypatch):
    monkeypatch.setattr(planned_changes, "RUN_S", 0)
    clock.move(TURN - timedelta(hours=4))
    for tenant in (acme, charlies):
        publish_snapshot(tenant.pk)
        valkey.hset(names.account_key(tenant.pk, APRIL), "used", 7)
    clock.move(LATE)
    assert [planned_changes.publish_planned_changes(valkey, clock.now) for _ in range(3)] == [1, 1, 0]
