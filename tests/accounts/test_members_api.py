"""Members over the management API."""

import pytest

from tenants.models import AuditEntry, Membership
from tests.tenants.api.builders import problem

# Each answer has a status that the OpenAPI document names.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("documented_answers")]


def test_a_role_is_changed_and_a_member_removed(admin, with_key, bobs, acme):
    assert [member["email"] for member in admin.get("members").json()["data"]] == [
        "bob@example.org",
        "alice@example.org",
    ]
    path = f"members/{bobs.pk}"
    got = admin.get(path)
    assert admin.patch(path, {"role": "owner"}, If_Match=got["ETag"]).json()["role"] == "owner"
    problem(admin.patch(path, {"role": "member"}, If_Match=got["ETag"]), 412, "precondition_failed")
    problem(admin.patch(path, {"role": "king"}), 400, "invalid")
    problem(with_key("styles:write").patch(path, {"role": "member"}), 403, "insufficient_scope")
    assert admin.delete(path).status_code == 204
    problem(admin.get(path), 404, "not_found")
    log = AuditEntry.objects.filter(tenant=acme).values_list("action", "before", "after")
    assert list(log.order_by("id")) == [
        ("member.edited", {"role": "member"}, {"role": "owner"}),
        ("member.removed", {"role": "owner"}, {}),
    ]


def test_the_only_owner_stays(admin, alice, acme, bobs):
    alices = Membership.objects.get(user=alice, tenant=acme)
    problem(admin.patch(f"members/{alices.pk}", {"role": "member"}), 409, "last_owner")
    problem(admin.delete(f"members/{alices.pk}"), 409, "last_owner")
    assert admin.patch(f"members/{bobs.pk}", {"role": "owner"}).status_code == 200
    assert admin.delete(f"members/{alices.pk}").status_code == 204


def test_an_invitation_and_the_workspace_are_deleted_only_as_they_were_read(admin, acme):
    made = admin.post("invitations", {"email": "dora@example.com"})
    path = f"invitations/{made.json()['id']}"
    problem(admin.delete(path, If_Match='"of another state"'), 412, "precondition_failed")
    assert admin.delete(path, If_Match=admin.get(path)["ETag"]).status_code == 204
    read = admin.get("workspace")["ETag"]
    assert admin.patch("workspace", {"name": "Acme Prose"}).status_code == 200
    answer = admin.request("delete", "workspace", {"confirm": "acme"}, If_Match=read)
    problem(answer, 412, "precondition_failed")
    acme.refresh_from_db()
    assert acme.deletion_at is None
