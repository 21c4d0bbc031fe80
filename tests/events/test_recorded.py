"""What this floor's actions record, as the API shows it."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.conf import settings
from django.utils.module_loading import import_string

from accounts.workspaces import playground_key, resume_tenant, suspend_tenant
from core.rest.objects import present
from events.models import OutboxEvent
from keys.actions import create_key, edit_key, revoke_key, rotate_key
from keys.presenters import KeyObject
from tests.tenants.builders import owner_of

pytestmark = pytest.mark.django_db


def recorded(tenant) -> list[tuple[str, str]]:
    rows = OutboxEvent.objects.filter(tenant=tenant).order_by("created_at")
    return [(event.type, event.object["id"]) for event in rows]


def test_keys_tell_of_their_lives_and_never_their_secrets(acme, alice):
    by = owner_of(acme, alice)
    key, secret = create_key(by, name="laptop")
    edit_key(key, by=by, monthly_tokens=5)
    new_key, new_secret = rotate_key(key, by=by, old_lives=timedelta(hours=1))
    revoke_key(new_key, by=by)
    revoke_key(new_key, by=by)
    assert recorded(acme) == [
        ("key.created", str(key.pk)),
        ("key.rotated", str(new_key.pk)),
        ("key.revoked", str(new_key.pk)),
    ]
    created, rotated, revoked = OutboxEvent.objects.order_by("created_at")
    assert created.object["name"] == "laptop"
    assert rotated.facts["replaces"] == str(key.pk)
    assert revoked.object == present(KeyObject, new_key)
    assert revoked.object["is_live"] is False
    for event in (created, rotated, revoked):
        assert secret not in f"{event.object}{event.facts}"
        assert new_secret not in f"{event.object}{event.facts}"


def test_the_studios_own_key_is_nobodys_news(acme):
    playground_key(acme)
    assert recorded(acme) == []


def test_a_suspension_is_told_once_and_so_is_its_end(acme):
    suspend_tenant(acme)
    suspend_tenant(acme)
    resume_tenant(acme)
    resume_tenant(acme)
    assert recorded(acme) == [("workspace.suspended", str(acme.pk)), ("workspace.resumed", str(acme.pk))]
    suspended, resumed = OutboxEvent.objects.order_by("created_at")
    assert (suspended.object["is_suspended"], resumed.object["is_suspended"]) == (True, False)


def test_what_presents_and_what_subscribes_is_there():
    for label, path in settings.EVENT_PRESENTERS.items():
        assert apps.get_model(label)
        assert callable(import_string(path))
    assert all(callable(import_string(path)) for path in settings.EVENT_SUBSCRIBERS)
