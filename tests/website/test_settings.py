"""The page "Settings"."""

from datetime import datetime, timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.money import NANO
from tenants.models import ApiKey, AuditEntry, Tenant
from tests.tenants.builders import issue_key

pytestmark = pytest.mark.django_db


def test_the_workspace_is_renamed_and_keeps_its_slug(alice_client, acme):
    alice_client.post(reverse("website:edit_workspace"), {"name": "Acme Letters", "default_style": ""})
    acme.refresh_from_db()
    assert (acme.name, acme.slug) == ("Acme Letters", "acme")
    entry = AuditEntry.objects.get()
    assert (entry.before, entry.after) == ({"name": "Acme"}, {"name": "Acme Letters"})


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "Polyscribe Support"}, "is reserved"),
        ({"name": "Acme", "default_style": "0b1c2d3e-4f50-4162-8738-495a6b7c8d9e"}, "one of this workspace"),
        ({"name": "x" * 81}, "at most 80"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_lost(alice_client, acme, sent, sentence):
    answer = alice_client.post(reverse("website:edit_workspace"), sent)
    assert answer.status_code == 400
    assert sentence in answer.text
    assert sent["name"] in answer.text
    assert Tenant.objects.get().name == "Acme"


def test_a_person_chooses_a_name_and_a_language(alice_client, alice):
    sent = {"first_name": "Alice", "last_name": "Writer", "language": "de"}
    assert alice_client.post(reverse("website:edit_profile"), sent).status_code == 302
    alice.refresh_from_db()
    assert (alice.get_full_name(), alice.language) == ("Alice Writer", "de")
    assert alice_client.post(reverse("website:edit_profile"), {"language": "xx"}).status_code == 400


def test_other_sessions_are_listed_and_ended(alice, valkey):
    alice.set_password("correct horse battery staple")
    alice.save()
    EmailAddress.objects.create(user=alice, email=alice.email, verified=True, primary=True)
    here, other = Client(), Client()
    for browser in (here, other):
        sent = {"login": alice.email, "password": "correct horse battery staple"}
        browser.post(reverse("account_login"), sent)
    page = here.get(reverse("usersessions_list"))
    assert "Active sessions: 2" in page.text
    here.post(reverse("usersessions_list"))
    assert here.get(reverse("website:settings")).status_code == 200
    assert other.get(reverse("website:settings")).status_code == 302
    assert UserSession.objects.count() == 1


def test_a_viewer_still_edits_the_profile(bob, bob_client, acme):
    bob.memberships.update(role="viewer")
    assert reverse("website:edit_profile") in bob_client.get(reverse("website:account")).text


def test_new_keys_end_when_the_workspace_lets_them(alice_client, acme):
    def post(path, body):
        return alice_client.post(path, body, content_type="application/json").json()

    def lives_days(key):
        return (datetime.fromisoformat(key["expires_at"]) - datetime.fromisoformat(key["created_at"])).days

    assert acme.key_lifetime_days == 365, "of a new workspace"
    alice_client.post(reverse("website:limit_new_keys"), {"lifetime_days": "90"})
    form = alice_client.get(reverse("keys:keys")).context["form"]
    assert form["lifetime_days"].value() == 90
    assert lives_days(post("/api/v1/keys", {"name": "laptop"})) in (89, 90)
    assert post("/api/v1/keys", {"name": "for ever", "expires_at": None})["expires_at"] is None
    assert alice_client.post(reverse("website:limit_new_keys"), {"lifetime_days": "7"}).status_code == 400
    body = {"key_lifetime_days": None}
    workspace = alice_client.patch("/api/v1/workspace", body, content_type="application/json").json()
    assert workspace["key_lifetime_days"] is None
    assert post("/api/v1/keys", {"name": "server"})["expires_at"] is None
    changes = (
        AuditEntry.objects.filter(action="workspace.edited").order_by("id").values_list("after", flat=True)
    )
    assert list(changes) == [{"key_lifetime_days": 90}, {"key_lifetime_days": None}]


def test_a_key_that_ends_soon_is_marked(alice_client, acme, alice):
    issue_key(acme, name="laptop", by=alice, expires_at=timezone.now() + timedelta(days=13))
    assert "Expires soon" in alice_client.get(reverse("keys:keys")).text
    ApiKey.objects.update(expires_at=timezone.now() + timedelta(days=15))
    assert "Expires soon" not in alice_client.get(reverse("keys:keys")).text


def test_new_keys_start_with_the_workspaces_limits(alice_client, acme):
    sent = {
        "monthly_nanousd": "5",
        "monthly_tokens": "1000",
        "requests_per_minute": "",
        "parallel_requests": "2",
    }
    alice_client.post(reverse("website:limit_new_keys"), sent)
    acme.refresh_from_db()
    limits = {"monthly_nanousd": 5 * NANO, "monthly_tokens": 1000, "parallel_requests": 2}
    assert acme.key_limits == limits
    form = alice_client.get(reverse("keys:keys")).context["form"]
    shown = [form[name].value() for name in ("monthly_nanousd", "monthly_tokens", "requests_per_minute")]
    assert shown == ["5.00", 1000, None]
    assert form.has_limits, "its disclosure is open"
    made = alice_client.post(
        "/api/v1/keys",
        {"name": "laptop", "limits": {"monthly_tokens": None}},
        content_type="application/json",
    ).json()["limits"]
    assert (made["monthly_tokens"], made["parallel_requests"]) == (None, 2)
    wrong = alice_client.post(reverse("website:limit_new_keys"), {"monthly_tokens": "-1"})
    assert wrong.status_code == 400
    body = {"key_limits": {"tokens_per_minute": 9}}
    workspace = alice_client.patch("/api/v1/workspace", body, content_type="application/json").json()
    assert workspace["key_limits"] == {"tokens_per_minute": 9}
    alice_client.post(reverse("website:limit_new_keys"), {})
    acme.refresh_from_db()
    assert acme.key_limits is None
