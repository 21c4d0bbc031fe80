"""Deleting a workspace and an account: what stops, what goes, what is kept."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import deletion, workspaces
from events.models import NoticeMail
from operations.retention import delete_old
from tenants.access import Access
from tenants.models import ApiKey, AuditEntry, Invitation, Membership, Tenant, User
from tenants.roles import Role
from tests.tenants.builders import issue_key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

PASSWORD = "correct horse battery staple"
DELETE_ACCOUNT = reverse("website:delete_account")


@pytest.fixture
def client_of(db):
    """Makes a browser of a person who has a password."""

    def make(user: User) -> Client:
        user.set_password(PASSWORD)
        user.save()
        EmailAddress.objects.get_or_create(user=user, email=user.email, verified=True, primary=True)
        client = Client()
        client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
        return client

    return make


def typed(user: User) -> dict[str, str]:
    return {"confirm": user.email, "password": PASSWORD}


def test_the_workspace_works_for_a_day_until_it_is_deleted(alice, alice_client, bob_client, acme):
    _, secret = issue_key(acme, name="laptop", by=alice)
    headers = {"Authorization": f"Bearer {secret}"}
    wrong = alice_client.post(reverse("website:delete_workspace"), {"confirm": "Acme Ltd"})
    assert wrong.status_code == 400
    assert "The name doesn&#x27;t match" in wrong.text
    acme.refresh_from_db()
    assert acme.deletion_at is None
    answer = alice_client.post(reverse("website:delete_workspace"), {"confirm": "Acme"})
    assert answer["Location"] == reverse("website:delete_workspace")
    acme.refresh_from_db()
    asked_at = acme.deletion_at - timedelta(hours=24)
    assert timezone.now() - asked_at < timedelta(minutes=1)
    assert deletion.delete_due(acme.deletion_at - timedelta(seconds=1)) == 0
    assert Client().get("/api/v1/workspace", headers=headers).json()["deletion_at"]
    members_page = bob_client.get(reverse("accounts:team")).text
    assert "will be deleted" in members_page
    assert "Stop deletion" not in members_page
    assert deletion.delete_due(acme.deletion_at) == 1
    assert deletion.delete_due(acme.deletion_at) == 0
    assert Client().get("/api/v1/workspace", headers=headers).status_code == 401
    actions = ["workspace.deletion_requested", "workspace.deleted"]
    entries = AuditEntry.objects.filter(tenant=acme, action__startswith="workspace.del").order_by("pk")
    assert [(entry.action, entry.actor) for entry in entries] == [(action, alice) for action in actions]


def test_any_owner_stops_it_and_every_owner_has_a_mail(alice_client, bob, bob_client, acme):
    Membership.objects.filter(user=bob).update(role=Role.OWNER)
    alice_client.post(reverse("website:delete_workspace"), {"confirm": "Acme"})
    mails = NoticeMail.objects.filter(event__type="workspace.deletion_requested")
    assert mails.count() == 2
    assert "Stop deletion" in bob_client.get(reverse("website:delete_workspace")).text
    bob_client.post(reverse("website:stop_deletion"))
    acme.refresh_from_db()
    assert (acme.deletion_at, acme.deletion_asked_by) == (None, None)
    assert deletion.delete_due(timezone.now() + timedelta(days=2)) == 0
    assert AuditEntry.objects.filter(action="workspace.deletion_stopped", actor=bob).exists()
    answer = bob_client.post(reverse("website:stop_deletion"), follow=True)
    assert "This workspace is not scheduled for deletion." in answer.text


def test_the_password_is_asked_for_and_nothing_typed_is_lost(alice, acme, client_of):
    client = client_of(alice)
    asked = client.post(reverse("website:delete_workspace"), {"confirm": "Acme"})
    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    for password, is_right in ((None, False), ("guess", False), (PASSWORD, True)):
        if password:
            client.post(asked["Location"], {"password": password})
        acme.refresh_from_db()
        assert bool(acme.deletion_at) is is_right


def test_members_read_afterwards_what_happened(owner, alice, bob_client):
    deletion.delete_due(deletion.request_deletion(owner))
    page = bob_client.get(reverse("website:create_workspace")).text
    assert "<strong>Acme</strong> was deleted" in page
    assert f"by {alice.email}" in page
    assert "Name your workspace" not in page.split("<main")[1]


def test_programs_ask_and_stop(client, acme):
    _, secret = issue_key(acme, name="books", by=None, scopes=["admin"])
    options = {"content_type": "application/json", "headers": {"Authorization": f"Bearer {secret}"}}
    asked = client.delete("/api/v1/workspace", {"confirm": "acme"}, **options)
    assert (asked.status_code, bool(asked.json()["deletion_at"])) == (202, True)
    stopped = client.post("/api/v1/workspace/stop-deletion", **options)
    assert (stopped.status_code, stopped.json()["deletion_at"]) == (200, None)
    again = client.post("/api/v1/workspace/stop-deletion", **options)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_stop")


def test_a_deleted_workspace_opens_nothing_for_ever_and_its_books_stay(owner, alice_client, bob_client, acme):
    invoice = {"period": "2026-10", "state": "paid", "number": 1, "plan": "Free v1", "total_nanousd": 0}
    acme.invoices.create(**invoice)
    _, secret = issue_key(acme, name="laptop", by=owner.user)
    soon = timezone.now() + timedelta(days=1)
    Invitation.objects.create(tenant=acme, email="d@example.org", expires_at=soon)
    deletion.delete_at_once(owner)
    headers = {"Authorization": f"Bearer {secret}"}
    assert Client().get("/api/v1/workspace", headers=headers).status_code == 401
    assert not ApiKey.objects.live(timezone.now()).filter(tenant=acme).exists()
    assert not Invitation.objects.exists()
    for client in (alice_client, bob_client):
        assert client.get(reverse("accounts:team"))["Location"] == reverse("website:create_workspace")
    assert acme.invoices.exists()
    assert AuditEntry.objects.filter(tenant=acme, action="workspace.deleted").exists()
    workspaces.resume_tenant(acme)
    acme.refresh_from_db()
    assert acme.suspended_at
    assert acme.generation > acme.observed_generation


def test_the_first_party_is_not_deleted(alice):
    tenant = workspaces.first_party_tenant()
    with pytest.raises(deletion.NotDeletable):
        deletion.delete_at_once(Access(tenant=tenant, user=alice, role=Role.OWNER))


def test_the_only_owner_where_others_work_hands_over_first(alice, bob, acme, client_of):
    client = client_of(alice)
    page = client.get(DELETE_ACCOUNT)
    assert [one.name for one in page.context["plan"].to_transfer] == ["Acme"]
    answer = client.post(DELETE_ACCOUNT, typed(alice))
    assert answer.status_code == 400
    assert "You\u2019re the only owner of a workspace with other members" in answer.text
    alice.refresh_from_db()
    assert alice.is_active


def test_an_account_goes_with_the_workspaces_that_it_is_alone_in(alice, acme, charlies, client_of):
    Membership.objects.create(user=alice, tenant=charlies, role=Role.MEMBER)
    client, elsewhere = client_of(alice), Client()
    elsewhere.post(reverse("account_login"), {"login": alice.email, "password": PASSWORD})
    assert UserSession.objects.filter(user=alice).count() == 2
    answer = client.post(DELETE_ACCOUNT, typed(alice))
    assert "Your account is deleted" in answer.text
    alice.refresh_from_db()
    acme.refresh_from_db()
    charlies.refresh_from_db()
    assert (alice.is_active, alice.email) == (False, f"deleted-{alice.pk}@deleted.invalid")
    assert acme.deleted_at
    assert charlies.deleted_at is None
    assert not Membership.objects.filter(user=alice).exists()
    for browser in (client, elsewhere):
        assert reverse("account_login") in browser.get(reverse("website:settings"))["Location"]
    assert not UserSession.objects.filter(user=alice).exists()
    log = AuditEntry.objects.filter(actor=alice).values_list("action", flat=True)
    assert set(log) == {"workspace.deleted", "member.left", "account.deleted"}
    assert "alice" not in str(list(AuditEntry.objects.filter(action="account.deleted").values()))
    assert User.objects.create_user("alice@example.org").pk != alice.pk


@pytest.mark.parametrize("wrong", [{"password": "guess"}, {"confirm": "bob@example.org"}, {"password": ""}])
def test_the_address_and_the_password_are_asked_for(alice, client_of, wrong):
    answer = client_of(alice).post(DELETE_ACCOUNT, {**typed(alice), **wrong})
    assert answer.status_code == 400
    alice.refresh_from_db()
    assert alice.is_active


def test_guesses_of_the_password_are_bounded(alice, client_of):
    client = client_of(alice)
    wrong = {**typed(alice), "password": "guess"}
    assert [client.post(DELETE_ACCOUNT, wrong).status_code for _ in range(11)][-1] == 429


def test_memberships_of_erased_workspaces_are_pruned(alice, acme, charlies):
    Tenant.objects.filter(pk=acme.pk).update(erased_at=timezone.now() - timedelta(days=31))
    assert delete_old("Membership", timezone.now()) == 1
    assert Membership.objects.get().tenant == charlies


def test_rows_of_ended_sessions_are_pruned(alice, client_of):
    client_of(alice)
    yesterday = timezone.now() - timedelta(days=1)
    facts = {"ip": "203.0.113.7", "session_key": "gone", "user_agent": "x", "created_at": yesterday}
    old = UserSession.objects.create(user=alice, **facts)
    assert delete_old("Session", timezone.now()) == 1
    assert not UserSession.objects.filter(pk=old.pk).exists()
    assert UserSession.objects.filter(user=alice).exists()
