"""Members: what changes a role, and that a workspace keeps an owner."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts import members
from tenants.access import Access, InsufficientScope, RoleAboveMaker
from tenants.models import AuditEntry, Membership
from tenants.roles import Role, RoleNotAllowed
from tests.tenants.builders import issue_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def alices(alice, acme) -> Membership:
    return Membership.objects.get(user=alice, tenant=acme)


def test_an_admin_makes_and_removes_no_owner(bob_client, bobs, alices):
    Membership.objects.filter(pk=bobs.pk).update(role=Role.ADMIN)
    change = reverse("accounts:change_role", args=[alices.pk])
    assert bob_client.post(change, {"role": "viewer"}).status_code == 403
    assert bob_client.post(reverse("accounts:remove_member", args=[alices.pk])).status_code == 403
    own = reverse("accounts:change_role", args=[bobs.pk])
    assert bob_client.post(own, {"role": "owner"}).status_code == 400
    assert list(Membership.objects.order_by("pk").values_list("role", flat=True)) == ["owner", "admin"]


def test_a_key_that_manages_members_makes_no_owner_and_a_viewer_removes_nobody(acme, bobs):
    key, _ = issue_key(acme, name="hr", by=None, scopes=["members:write"])
    access = Access(tenant=acme, key=key)
    with pytest.raises(InsufficientScope):
        members.change_role(bobs, Role.OWNER, by=access)
    members.change_role(bobs, Role.VIEWER, by=access)
    bobs.refresh_from_db()
    assert bobs.role == Role.VIEWER
    viewer = Access(tenant=acme, user=bobs.user, role=Role.VIEWER)
    with pytest.raises(RoleNotAllowed, match="Only owners and admins can manage its members"):
        members.remove_member(bobs, by=viewer)


def test_a_key_assigns_no_role_above_the_one_that_its_maker_has_now(acme, alice, alices, bob, bobs):
    Membership.objects.filter(pk=bobs.pk).update(role=Role.ADMIN)
    key, _ = issue_key(acme, name="hr", by=bob, scopes=["members:write"])
    access = Access(tenant=acme, key=key)
    members.invite("dora@example.org", Role.ADMIN, by=access)
    Membership.objects.filter(pk=bobs.pk).update(role=Role.VIEWER)
    for role in (Role.ADMIN, Role.MEMBER):
        with pytest.raises(RoleAboveMaker):
            members.invite("eve@example.org", role, by=access)
        with pytest.raises(RoleAboveMaker):
            members.change_role(bobs, role, by=access)
    # Nor does the key of an owner who left make owners, or take an admin out.
    owners_key, _ = issue_key(acme, name="all", by=alice, scopes=["admin"])
    Membership.objects.filter(pk=bobs.pk).update(role=Role.OWNER)
    alices.delete()
    departed = Access(tenant=acme, key=owners_key)
    with pytest.raises(RoleAboveMaker):
        members.remove_member(bobs, by=departed)
    with pytest.raises(RoleAboveMaker):
        members.invite("eve@example.org", Role.OWNER, by=departed)
    members.invite("eve@example.org", Role.MEMBER, by=departed)


def test_the_workspace_is_handed_over(alice_client, alices, bobs):
    address = reverse("accounts:transfer_ownership", args=[bobs.pk])
    assert alice_client.post(address).status_code == 302
    roles = dict(Membership.objects.values_list("user__email", "role"))
    assert roles == {"alice@example.org": "admin", "bob@example.org": "owner"}
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.after) == ("workspace.transferred", {"owner": "bob@example.org"})
    assert alice_client.post(address).status_code == 403


def test_the_last_owner_does_not_leave_and_others_do(alice_client, bob_client, bobs):
    leave = reverse("accounts:leave_workspace")
    alice_client.post(leave)
    bob_client.post(leave)
    assert list(Membership.objects.values_list("user__email", flat=True)) == ["alice@example.org"]


def test_the_api_hands_over_and_leaves_for_persons_alone(valkey, alice_client, bobs, acme):
    path = f"/api/v1/members/{bobs.pk}/transfer"
    _, secret = issue_key(acme, name="all", by=None, scopes=["admin"])
    headers = {"Authorization": f"Bearer {secret}"}
    for refused in (path, "/api/v1/members/leave"):
        assert Client().post(refused, headers=headers).json()["code"] == "not_a_person"
    assert alice_client.post(path).json()["role"] == "owner"
    assert alice_client.post(path).status_code == 403
    assert alice_client.post("/api/v1/members/leave").status_code == 204
    assert Membership.objects.get().user.email == "bob@example.org"


def test_the_team_page_shows_buttons_to_those_who_may_and_nothing_to_who_was_removed(
    alice_client, bob_client, bobs
):
    team = reverse("accounts:team")
    for address in (reverse("accounts:member", args=[bobs.pk]), reverse("accounts:invite")):
        assert address in alice_client.get(team).text
        assert address not in bob_client.get(team).text
    alice_client.post(reverse("accounts:remove_member", args=[bobs.pk]))
    assert bob_client.get(team)["Location"] == reverse("website:create_workspace")
