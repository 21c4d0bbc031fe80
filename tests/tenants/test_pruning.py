"""What nobody needs any more goes: from Valkey, and from PostgreSQL."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from core import months
from core.valkey import account_key, bucket_key
from metering.quota_sync import snapshot
from operations.retention import delete_old
from tenants.models import ApiKey
from tests.tenants.builders import issue_key

pytestmark = pytest.mark.django_db


def test_the_counters_of_months_that_are_over_end_and_those_of_this_one_stay(acme, valkey):
    present, last = months.current(), months.before(months.current())
    for period in (present, last, "2020-01"):
        valkey.hset(account_key(acme.pk, period), "used", 1)
    snapshot.prune_snapshots()
    assert valkey.ttl(account_key(acme.pk, present)) == -1
    assert 0 < valkey.ttl(account_key(acme.pk, last)) <= snapshot.ACCOUNTS_KEPT.total_seconds()
    assert not valkey.exists(account_key(acme.pk, "2020-01"))


def test_a_dead_keys_buckets_go_and_a_live_ones_stay(acme, valkey):
    dead, _ = issue_key(acme, name="dead", by=None)
    live, _ = issue_key(acme, name="live", by=None)
    ApiKey.objects.filter(pk=dead.pk).update(revoked_at=timezone.now() - 2 * snapshot.DEAD_KEYS_KEPT)
    for key in (dead, live):
        valkey.hset(
            bucket_key(acme.pk), mapping={f"{f}:{key.pk}": 0 for f in ("open", "requests", "tokens", "at")}
        )
    snapshot.prune_snapshots()
    assert {field.partition(":")[2] for field in valkey.hkeys(bucket_key(acme.pk))} == {str(live.pk)}


def test_sessions_that_are_over_are_deleted(db):
    now = timezone.now()
    for name, ends in (("old", now - timedelta(days=1)), ("new", now + timedelta(days=1))):
        Session.objects.create(session_key=name, session_data="", expire_date=ends)
    delete_old("Session", now)
    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]
