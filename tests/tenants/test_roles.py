"""The table of permissions, through the pages."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from accounts import workspaces
from core import names
from tenants.models import ApiKey, Membership, Scope, Tenant
from tenants.roles import ALLOWED, NEEDED_TO_GRANT, Permission, Role
from tests.tenants.builders import issue_key


@pytest.fixture
def people(alice, bob, alice_client, bob_client):
    """Acme's owner and a member, each with a browser."""
    return [(alice, alice_client), (bob, bob_client)]


@pytest.mark.parametrize("action", ["limit", "revoke"])
@pytest.mark.parametrize(
    ("role", "whose", "allowed"),
    [(Role.OWNER, "other's", True), (Role.MEMBER, "own", True), (Role.MEMBER, "other's", False)],
)
def test_pages_do_what_the_table_says(people, role, action, whose, allowed):
    (person, client), (other, _client) = people if role == Role.OWNER else people[::-1]
    key, _ = issue_key(Tenant.objects.get(), name="laptop", by=person if whose == "own" else other)
    address = reverse(f"keys:{action}_key", args=[key.pk])
    answer = client.post(address, {"name": "laptop", "parallel_requests": "3"})
    key.refresh_from_db()
    assert answer.status_code == (302 if allowed else 403)
    assert bool(key.revoked_at or key.parallel_requests) is allowed
    assert (address in client.get(reverse("keys:keys")).text) is (allowed and not key.revoked_at)


def test_the_table_is_as_decided():
    may = {role: sorted(permission.name for permission in allowed) for role, allowed in ALLOWED.items()}
    assert ALLOWED[Role.OWNER] == set(Permission)
    assert ALLOWED[Role.OWNER] - ALLOWED[Role.ADMIN] == {
        Permission.MANAGE_OWNERS,
        Permission.DELETE_WORKSPACE,
    }
    assert may[Role.MEMBER] == [
        "CHANGE_STYLES", "MAKE_KEYS", "READ", "READ_BILLING", "READ_WEBHOOKS", "WRITE_TEXT",
    ]  # fmt: skip
    assert may[Role.BILLING] == ["MANAGE_BILLING", "READ", "READ_BILLING"]
    assert may[Role.VIEWER] == ["READ"]
    assert ALLOWED.keys() == set(Role)
    assert NEEDED_TO_GRANT.keys() == set(Scope)


def test_an_admin_makes_no_key_that_could_make_owners(bob, bob_client, acme):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    sent = {"name": "all", "lifetime_days": "", "scopes": ["admin"]}
    assert bob_client.post(reverse("keys:issue_key"), sent).status_code == 400
    sent["scopes"] = ["members:write"]
    assert bob_client.post(reverse("keys:issue_key"), sent).status_code == 200


@pytest.mark.parametrize(
    "mark", ["\u202e", "\u200b", "\u2066", "\ufeff", "\x07", "\u00ad", "\u2028", "\U000e0061"]
)
def test_names_hold_no_marks_that_cannot_be_seen(mark):
    with pytest.raises(ValidationError):
        names.validate_name(f"lap{mark}top")


def test_forms_of_names_refuse_such_marks(alice_client, operator_client, acme):
    create, change = (
        reverse("website:create_workspace"),
        reverse("admin:tenants_tenant_change", args=[acme.pk]),
    )
    assert alice_client.post(reverse("keys:issue_key"), {"name": "lap\u200btop"}).status_code == 400
    assert operator_client.post(create, {"workspace": "De\u200bsk"}).status_code == 400
    inline = {f"memberships-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    operator_client.post(change, {"name": "Ac\u200bme", "why": "A test", **inline})
    assert Tenant.objects.get().name == "Acme"
    assert not ApiKey.objects.shown().exists()


OURS = ["Admin", "POLYSCRIBE", "Poly Scribe", "Polyscribe Support", "api", " Billing ", "www"]
# Cyrillic, Greek, wide and mathematical letters, digits, a capital I.
LOOKALIKES = ["P\u043elyscribe", "\u03a1olyscribe", "\u0430dmin", "\uff53upport", "pol\U0001d5d2scribe"]
RESERVED = [*OURS, *LOOKALIKES, "p0lyscr1be", "PoIyscribe Team"]
ORDINARY = ["Acme Letters", "Supporting Cast", "Müller & Söhne", "日本語", "Testament", "Polly Scribner"]


def test_names_that_read_as_polyscribe_are_reserved_and_ordinary_ones_are_not():
    for name in ORDINARY:
        names.validate_name(name)
    assert [name for name in RESERVED + ORDINARY if names.is_reserved(name)] == RESERVED


def test_nobody_founds_a_workspace_under_a_reserved_name(charlie, operator_client):
    page = operator_client.post(reverse("website:create_workspace"), {"workspace": "Polyscribe"})
    assert page.status_code == 400
    assert "is reserved" in page.text
    with pytest.raises(workspaces.ReservedName):
        workspaces.create_tenant(charlie, name="p0lyscr1be")
