from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from accounts.workspaces import WatermarkRequired, playground_key
from core.valkey import key_key, owner_key
from keys import actions
from metering.quota_sync.snapshot import find_owner
from tenants.access import Access, InsufficientScope
from tenants.models import ApiKey, AuditEntry, Membership
from tenants.models import keys as key_secrets
from tenants.roles import RoleNotAllowed
from tests.tenants.builders import issue_key, owner_of


def test_the_secret_is_stored_nowhere(alice, acme):
    key, secret = issue_key(acme, name="laptop", by=alice)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(k)::text FROM tenants_apikey AS k")
        stored = " ".join(row for (row,) in cursor.fetchall())
    assert secret not in stored
    assert secret[len(key_secrets.PREFIX) + 4 : -4] not in stored
    assert key_secrets.digest_key(secret) in stored
    assert (key.prefix, key.last4) == (secret[:10], secret[-4:])


def test_a_key_from_before_a_new_pepper_is_still_found(acme, settings):
    settings.API_KEY_PEPPERS = {1: b"old"}
    key, secret = issue_key(acme, name="laptop", by=None)
    settings.API_KEY_PEPPERS = {1: b"old", 2: b"new"}
    newest, older = key_secrets.digest_by_peppers(secret)
    assert newest == key_secrets.digest_key(secret) != older
    assert [find_owner(newest), find_owner(older)] == [None, (acme.pk, key.pk)]
    assert issue_key(acme, name="desk", by=None)[0].pepper == 2


@pytest.mark.django_db(transaction=True)
def test_a_revoke_is_in_valkey_when_it_returns(acme, valkey):
    key, secret = issue_key(acme, name="laptop", by=None)
    assert valkey.get(owner_key(key_secrets.digest_key(secret))) == f"{acme.pk}:{key.pk}"
    assert valkey.hget(key_key(acme.pk, key.pk), "state") == "live"
    actions.revoke_by_operator(key)
    assert valkey.hget(key_key(acme.pk, key.pk), "state") == "revoked"
    revoked_at = key.revoked_at
    actions.revoke_by_operator(key)
    assert key.revoked_at == revoked_at


def test_the_studio_key_is_one_and_has_no_secret(acme):
    assert playground_key(acme) == playground_key(acme)
    assert playground_key(acme).digest is None
    assert not ApiKey.objects.shown().filter(tenant=acme).exists()


def test_expired_and_revoked_keys_are_not_live(acme):
    now = timezone.now()
    over, _ = issue_key(acme, name="over", by=None, expires_at=now - timedelta(seconds=1))
    gone, _ = issue_key(acme, name="gone", by=None)
    lasting, _ = issue_key(acme, name="lasting", by=None, expires_at=now + timedelta(days=1))
    actions.revoke_by_operator(gone)
    assert set(ApiKey.objects.shown().live(now)) == {lasting}
    assert [over.is_expired, lasting.is_expired] == [True, False]


VIEWER = Membership.Role.VIEWER


def test_the_action_itself_asks_for_role_scope_and_watermark(acme, alice, bob, settings):
    key, _ = issue_key(acme, name="laptop", by=alice)
    reader, _ = issue_key(acme, name="reader", by=alice, scopes=["keys:write", "usage:read"])
    member = Access(tenant=acme, user=bob, role=Membership.Role.MEMBER)
    with pytest.raises(RoleNotAllowed):
        actions.create_key(Access(tenant=acme, user=bob, role=VIEWER), name="bot")
    with pytest.raises(InsufficientScope):
        actions.create_key(Access(tenant=acme, key=key), name="bot")
    with pytest.raises(actions.ScopeNotYours):
        actions.create_key(Access(tenant=acme, key=reader), name="bot")  # a new key may write
    for change in (actions.edit_key, partial(actions.rotate_key, old_lives=timedelta()), actions.revoke_key):
        with pytest.raises(actions.NotYourKey, match="owners and admins of Acme"):
            change(key, by=member)
    settings.WATERMARK = "required"
    with pytest.raises(WatermarkRequired):
        actions.edit_key(key, by=owner_of(acme), is_watermarked=False)
    with pytest.raises(actions.EndIsPast):
        actions.create_key(owner_of(acme), name="bot", expires_at=timezone.now())
    assert list(ApiKey.objects.shown().values_list("name", flat=True)) == ["reader", "laptop"]
    assert not AuditEntry.objects.exists()


def test_a_name_gets_the_first_free_number_and_stays_short_enough(acme):
    by = owner_of(acme)
    name = "x" * actions.MAX_NAME
    names = [actions.create_key(by, name=name, is_numbered=True)[0].name for _ in range(3)]
    assert names == [name, f"{name[:-2]} 2", f"{name[:-2]} 3"]
    actions.revoke_key(ApiKey.objects.get(name=names[1]), by=by)
    assert actions.create_key(by, name=name, is_numbered=True)[0].name == names[1]
