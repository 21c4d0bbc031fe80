"""Every page, form and operation asks the one table of roles: made from the URLconf and the API document."""

import re

import pytest
from django.test import Client
from django.urls import resolve

from tenants.accounts.roles import ALLOWED, Permission, Role, needed_by_scope
from tenants.models import Membership, Tenant, User
from tests.config.addresses import ALL, API, address_of, of_acme
from tests.config.changes import (
    OPERATIONS,
    PAGES,
    logged,
    operations,
    prepared,
    ready,
    state,
    two_versions,
)

__all__ = ["of_acme", "ready"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey", "ready")]

# They are about the person, who may have no workspace at all.
PERSONAL = {"website:create_workspace", "website:switch_workspace", "website:delete_account"}
# The first is of owners of a deleted workspace, the others of whoever made the key.
OF_SOME = {"website:workspace_erasure", "website:limit_key", "website:rotate_key"}


@pytest.fixture
def people(acme: Tenant) -> dict[str, Client]:
    """A browser for each role of Acme but the owner."""
    clients = {}
    for role in (Role.ADMIN, Role.MEMBER, Role.BILLING, Role.VIEWER):
        user = User.objects.create_user(f"{role}@example.org")
        Membership.objects.create(user=user, tenant=acme, role=role)
        clients[role] = Client()
        clients[role].force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return clients


def post(client: Client, address: str, change):
    options = {"content_type": "application/json"} if change.is_json else {}
    return client.post(address, change.sent, **options)


@pytest.mark.parametrize("name", sorted(PAGES.keys() - PERSONAL))
def test_a_form_asks_the_table(people, of_acme, name):
    arguments = prepared(PAGES[name], of_acme)
    address = address_of(name, arguments)
    view = resolve(address).func
    assert hasattr(view, "permission"), f"{name} does not say what it requires"
    before = state()
    for role, client in people.items():
        if view.permission in ALLOWED[role]:
            continue
        refused = post(client, address, PAGES[name])
        assert refused.status_code == 403, (name, role)
        assert "can " in refused.text
    assert (state(), logged()) == (before, [])


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.BILLING, Role.VIEWER])
def test_a_page_is_read_by_those_whom_the_table_lets(people, of_acme, role):
    for name in ALL:
        if name.startswith(API) or name in PERSONAL or name in OF_SOME:
            continue
        address = address_of(name, of_acme)
        answer = people[role].get(address)
        if answer.status_code == 405:
            continue
        needed = getattr(resolve(address).func, "permission_to_read", Permission.READ)
        assert (answer.status_code == 403) is (needed not in ALLOWED[role]), (name, role)


FORM = re.compile(r'<form\b[^>]*\bmethod="post"[^>]*\baction="([^"?#]*)[^"]*"[^>]*>(.*?)</form>', re.DOTALL)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.BILLING, Role.VIEWER])
def test_a_page_offers_no_form_that_the_table_refuses(people, of_acme, role):
    two_versions(of_acme)
    pages = 0
    for name in ALL:
        if name.startswith(API) or name in PERSONAL or name in OF_SOME:
            continue
        answer = people[role].get(address_of(name, of_acme))
        if answer.status_code != 200 or not answer["Content-Type"].startswith("text/html"):
            continue
        pages += 1
        for address, inside in FORM.findall(answer.text):
            if 'type="submit"' not in inside or not address.startswith("/"):
                continue
            needed = getattr(resolve(address).func, "permission", Permission.READ)
            assert needed in ALLOWED[role], (name, address)
    assert pages > 10


def needed_for(name: str, method: str, path: str) -> Permission:
    """Return what an operation needs of a person."""
    handler = getattr(resolve(path).func.view_class, method)
    return handler.permission or needed_by_scope(handler.scope, is_change=True)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_asks_the_table(people, of_acme, name):
    change = OPERATIONS[name]
    arguments = prepared(change, of_acme)
    method, pattern = operations()[name]
    path = pattern.format(**arguments)
    needed = needed_for(name, method, path)
    before = state()
    for role, client in people.items():
        if needed in ALLOWED[role]:
            continue
        refused = getattr(client, method)(path, change.sent or None, content_type="application/json")
        assert refused.status_code == 403, (name, role, refused.content)
        assert refused.json()["code"] == "role_not_allowed"
        assert "Ask an owner" in refused.json()["detail"]
    assert (state(), logged()) == (before, [])


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("website:issue_key", Role.MEMBER),
        ("adapters:describe", Role.MEMBER),
        ("tenants:create_webhook", Role.ADMIN),
        ("website:edit_workspace", Role.ADMIN),
        ("billing:billing_details", Role.BILLING),
        ("billing:change_plan", Role.BILLING),
        ("tenants:notices", Role.VIEWER),
    ],
)
def test_the_least_mighty_role_of_a_form_is_let_in(people, of_acme, name, role):
    answer = post(people[role], address_of(name, prepared(PAGES[name], of_acme)), PAGES[name])
    assert answer.status_code in (200, 302)
    assert logged() == ([PAGES[name].audits] if PAGES[name].audits else [])


FOR_ALL = ("workspace", "members", "keys", "styles", "usage")
FOR_SOME = ("workspace/audit-log", "webhooks", "events", "invoices", "billing", "payments")


def test_a_read_of_the_api_asks_the_table(people, of_acme):
    for role, forbidden in {
        Role.MEMBER: ["workspace/audit-log"],
        Role.BILLING: ["workspace/audit-log", "webhooks", "events"],
        Role.VIEWER: FOR_SOME,
    }.items():
        for path in (*FOR_ALL, *FOR_SOME):
            answer = people[role].get(f"/api/v1/{path}")
            assert answer.status_code == (403 if path in forbidden else 200), (role, path)
