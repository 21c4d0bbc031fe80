import json
from datetime import UTC, datetime, timedelta
from threading import Event
from unittest.mock import Mock
from uuid import uuid4

import pytest
import redis
from django.db import transaction
from django.utils import timezone

from accounts import workspaces
from accounts.workspaces import playground_key
from core import months
from core.valkey import key_key, limits_key, owner_key, published_key
from keys import actions
from metering import plans
from metering.models import PlanVersion, Price, PriceBook
from metering.quota_sync import snapshot
from tenants.models import ApiKey, Tenant
from tenants.models.keys import PUBLISHED_AFTER_DEATH
from tests.racing import race
from tests.tenants.builders import issue_key, owner_of
from tests.waiting import PATIENCE_S


def everything(valkey: redis.Redis) -> dict[str, object]:
    present = {}
    for name in valkey.scan_iter():
        if not name.endswith(":published"):  # its time goes on
            held = valkey.hgetall(name) if valkey.type(name) == "hash" else valkey.get(name)
            present[name] = (held, valkey.expiretime(name))
    return present


def test_publishing_writes_limits_prices_and_keys_and_again_the_same(alice, acme, valkey, monkeypatch):
    monkeypatch.setattr(snapshot, "COMING_KNOWN_BEFORE", timedelta(0))
    until = timezone.now().replace(microsecond=0) + timedelta(days=3)
    key, _ = issue_key(acme, name="laptop", by=None, monthly_tokens=1000, expires_at=until)
    snapshot.publish_snapshot(acme.pk)
    first = everything(valkey)
    assert valkey.hgetall(limits_key(acme.pk)) == {
        "requests_per_minute": "20",
        "tokens_per_minute": "40000",
        "parallel_requests": "4",
        "max_output_tokens": "512",
        "sequences_per_request": "16",
        "monthly_tokens": "200000",
        "monthly_nanousd": "",
        "weight": "1",
        "input_nanousd": "100",
        "cached_input_nanousd": "25",
        "output_nanousd": "400",
        "base_prices": "",
        "credits": "",
        "wallet": f"{months.current()} {months.before(months.current())} 200000 200000",
        "coming_at": "",
        "coming": "",
        "state": "live",
        "responses_kept_days": "",
        "is_watermarked": "1",
        "slug": "acme",
        "name": "Acme",
    }
    expected = {
        "state": "live",
        "name": "laptop",
        "hint": f"{key.prefix}…{key.last4}",
        "scopes": "inference",
        "expires_at": str(int(until.timestamp())),
        "styles": "",
        "monthly_tokens": "1000",
        "monthly_nanousd": "",
        "requests_per_minute": "",
        "tokens_per_minute": "",
        "parallel_requests": "",
        "is_watermarked": "1",
    }
    assert valkey.hgetall(key_key(acme.pk, key.pk)) == expected
    assert valkey.hget(key_key(acme.pk, playground_key(acme).pk), "monthly_tokens") == ""
    snapshot.publish_snapshot(acme.pk)
    assert everything(valkey) == first


@pytest.mark.django_db(transaction=True)
def test_a_change_goes_away_with_its_transaction(acme, valkey):
    snapshot.publish_snapshot(acme.pk)
    before, changes = everything(valkey), Tenant.objects.get().generation
    with transaction.atomic():
        issue_key(acme, name="laptop", by=None)
        workspaces.suspend_tenant(acme)
        transaction.set_rollback(True)
    assert everything(valkey) == before
    assert Tenant.objects.get().generation == changes


@pytest.mark.django_db(transaction=True)
def test_suspending_and_plans_reach_the_data_plane_at_once(acme, valkey):
    workspaces.suspend_tenant(acme)
    assert valkey.hget(limits_key(acme.pk), "state") == "suspended"
    workspaces.resume_tenant(acme)
    workspaces.subscribe_tenant(acme, plans.newest_plan_version("studio"))
    assert valkey.hmget(limits_key(acme.pk), "state", "requests_per_minute") == ["live", "600"]


@pytest.mark.django_db(transaction=True)
def test_a_keys_limits_reach_the_data_plane_at_once(acme, valkey):
    styles = [uuid4(), uuid4()]
    key, _ = issue_key(acme, name="laptop", by=None, styles=styles, monthly_nanousd=1)
    published = lambda: valkey.hgetall(key_key(acme.pk, key.pk))  # noqa: E731
    assert published()["styles"] == ",".join(map(str, styles))
    assert (published()["monthly_nanousd"], published()["requests_per_minute"]) == ("1", "")
    by = owner_of(acme)
    limits = {"monthly_nanousd": None, "requests_per_minute": 7, "tokens_per_minute": 8}
    actions.edit_key(key, by=by, styles=[], **limits)
    actions.edit_key(key, by=by, parallel_requests=9)
    assert published() == {
        "state": "live", "expires_at": "", "styles": "", "monthly_tokens": "", "monthly_nanousd": "",
        "requests_per_minute": "7", "tokens_per_minute": "8", "parallel_requests": "9",
        "name": "laptop", "hint": f"{key.prefix}…{key.last4}", "scopes": "inference",
        "is_watermarked": "1",
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("plans_cap", "own", "published"),
    [(None, None, ""), (50, None, "50"), (None, 60, "60"), (50, 60, "50"), (50, 40, "40")],
)
def test_the_smaller_budget_of_plan_and_tenant_reaches_the_data_plane(
    acme, valkey, plans_cap, own, published
):
    PlanVersion.objects.update(monthly_nanousd=plans_cap)
    Tenant.objects.filter(pk=acme.pk).update(monthly_nanousd=own)
    snapshot.publish_snapshot(acme.pk)
    assert valkey.hget(limits_key(acme.pk), "monthly_nanousd") == published


def test_plans_weigh_more_the_more_they_cost(db):
    weights = {code: plans.newest_plan_version(code).weight for code in ("free", "writer", "studio")}
    assert weights == {"free": 1, "writer": 2, "studio": 4}


@pytest.mark.django_db(transaction=True)
def test_while_valkey_is_down_a_revoke_holds_and_waits_to_be_published(acme, valkey, monkeypatch, caplog):
    key, _ = issue_key(acme, name="laptop", by=None)
    Tenant.objects.update(observed_generation=Tenant.objects.get().generation)
    with monkeypatch.context() as down:
        down.setattr(redis.Redis, "execute_command", Mock(side_effect=redis.ConnectionError("refused")))
        actions.revoke_by_operator(key)
    assert list(Tenant.objects.stale()) == [acme]
    assert "on_commit" in caplog.text
    snapshot.publish_snapshot(acme.pk)
    assert valkey.hget(key_key(acme.pk, key.pk), "state") == "revoked"


@pytest.mark.django_db(transaction=True)
def test_a_slow_publisher_cant_bring_a_revoked_key_back(acme, valkey, monkeypatch):
    key, _ = issue_key(acme, name="laptop", by=None)
    has_read, may_write = Event(), Event()
    limits_of = plans.limits_of

    def slow_at_first(*args):
        if not has_read.is_set():
            has_read.set()
            may_write.wait(PATIENCE_S)
        return limits_of(*args)

    monkeypatch.setattr(plans, "limits_of", slow_at_first)

    def revoke() -> None:
        assert has_read.wait(PATIENCE_S)
        actions.revoke_by_operator(key)  # it waits for nobody
        assert valkey.hget(key_key(acme.pk, key.pk), "state") == "revoked"
        may_write.set()

    race(lambda: snapshot.publish_snapshot(acme.pk), revoke)
    assert valkey.hget(key_key(acme.pk, key.pk), "state") == "revoked"


@pytest.mark.django_db(transaction=True)
def test_a_restored_database_wins_over_what_valkey_has_of_the_lost_time(acme, valkey):
    workspaces.suspend_tenant(acme)
    later = Tenant.objects.get().generation + 40
    valkey.set(published_key(acme.pk), later)
    Tenant.objects.update(suspended_at=None)  # as the backup has it
    snapshot.publish_snapshot(acme.pk)
    assert valkey.hget(limits_key(acme.pk), "state") == "live"
    assert Tenant.objects.get().generation == int(valkey.get(published_key(acme.pk))) == later + 1


def test_limits_leave_valkey_when_a_change_is_due_that_they_do_not_have(acme, valkey, monkeypatch):
    now = datetime(2031, 4, 16, tzinfo=UTC)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    for hours, price in ((1, 1), (5, 2)):
        book = PriceBook.objects.create(effective_from=now + timedelta(hours=hours))
        Price.objects.create(book=book, input_nanousd=100, cached_input_nanousd=25, output_nanousd=price)
    snapshot.publish_snapshot(acme.pk)
    limits = valkey.hgetall(limits_key(acme.pk))
    assert (limits["output_nanousd"], json.loads(limits["coming"])["output_nanousd"]) == ("400", "1")
    assert "input_nanousd" not in json.loads(limits["coming"])
    assert int(limits["coming_at"]) == (now + timedelta(hours=1)).timestamp() * 1000
    assert valkey.expiretime(limits_key(acme.pk)) == (now + timedelta(hours=5)).timestamp()
    assert plans.limits_of(acme, now).prices.output_nanousd == 400
    assert plans.limits_of(acme, book.effective_from).prices.output_nanousd == 2
    monkeypatch.setattr(snapshot, "COMING_KNOWN_BEFORE", timedelta(0))
    snapshot.publish_snapshot(acme.pk)
    assert valkey.expiretime(limits_key(acme.pk)) == (now + timedelta(hours=1)).timestamp()


def test_without_a_subscription_a_tenant_is_on_the_free_plan(acme):
    acme.subscriptions.all().delete()
    assert plans.limits_of(acme, timezone.now()).plan == "free"


def test_a_new_edition_of_a_plan_leaves_those_on_the_old_one_alone(acme):
    newer = PlanVersion.objects.get(plan="free")
    newer.pk, newer.number, newer.parallel_requests = None, 2, 1
    newer.save()
    assert plans.limits_of(acme, timezone.now()).parallel_requests == 4
    assert plans.newest_plan_version("free") == newer


@pytest.mark.django_db(transaction=True)
def test_what_valkey_keeps_of_a_revoked_key_ends_and_comes_back_when_it_is_asked_for(acme, valkey):
    key, _ = issue_key(acme, name="laptop", by=None)
    assert valkey.ttl(key_key(acme.pk, key.pk)) == -1
    actions.revoke_by_operator(key)
    kept = snapshot.DEAD_KEYS_KEPT.total_seconds()
    assert 0 < valkey.ttl(key_key(acme.pk, key.pk)) <= kept
    assert 0 < valkey.ttl(owner_key(key.digest)) <= kept
    valkey.delete(key_key(acme.pk, key.pk))
    snapshot.publish_snapshot(acme.pk)
    assert valkey.hget(key_key(acme.pk, key.pk), "state") == "revoked"


def test_what_valkey_keeps_of_an_expiring_key_ends_a_day_after_it(acme, valkey):
    until = timezone.now() + timedelta(hours=1)
    key, _ = issue_key(acme, name="laptop", by=None, expires_at=until)
    snapshot.publish_snapshot(acme.pk)
    gone_at_s = (until + snapshot.DEAD_KEYS_KEPT).timestamp()
    assert valkey.expiretime(key_key(acme.pk, key.pk)) == pytest.approx(gone_at_s, abs=1)
    assert valkey.expiretime(owner_key(key.digest)) == pytest.approx(gone_at_s, abs=1)
    actions.edit_key(key, by=owner_of(acme), expires_at=None)
    snapshot.publish_snapshot(acme.pk)
    assert valkey.ttl(key_key(acme.pk, key.pk)) == valkey.ttl(owner_key(key.digest)) == -1


@pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
def test_a_key_that_died_long_ago_is_published_no_more_and_found_no_more(acme, valkey, end):
    now = timezone.now()
    recent, _ = issue_key(acme, name="recent", by=None)
    old, _ = issue_key(acme, name="old", by=None)
    ApiKey.objects.filter(pk=recent.pk).update(**{end: now - PUBLISHED_AFTER_DEATH + timedelta(days=1)})
    ApiKey.objects.filter(pk=old.pk).update(**{end: now - PUBLISHED_AFTER_DEATH - timedelta(days=1)})
    snapshot.publish_snapshot(acme.pk)
    assert snapshot.find_owner(recent.digest) == (acme.pk, recent.pk)
    assert snapshot.find_owner(old.digest) is None
    names = set(valkey.scan_iter())
    assert {key_key(acme.pk, recent.pk), owner_key(recent.digest)} <= names
    assert not {key_key(acme.pk, old.pk), owner_key(old.digest)} & names
    assert [snapshot.is_published(key.pk) for key in (recent, old)] == [True, False]
