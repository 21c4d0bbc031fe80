"""Every page, form and operation asks the one table of roles: made from the URLconf and the API document."""

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import resolve

from tenants.models import Membership, Tenant, User
from tenants.roles import ALLOWED, Permission, Role, needed_by_scope
from tests.config.addresses import PAGES, address_of
from tests.config.changes import FORMS, OPERATIONS, logged, operations, prepared, state, two_versions
from tests.config.rows import changes_between, undone
from tests.operations.builders import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey", "ready")]

# They are about the person, who may have no workspace at all.
PERSONAL = {"website:create_workspace", "website:switch_workspace", "website:delete_account"}
# The first is of owners of a deleted workspace, the others of whoever made the key.
OF_SOME = {"website:workspace_erasure", "keys:limit_key", "keys:rotate_key"}
FORM = re.compile(r'<form\b[^>]*\bmethod="post"[^>]*\baction="([^"?#]*)[^"]*"[^>]*>(.*?)</form>', re.DOTALL)


@pytest.fixture
def people(acme: Tenant) -> dict[str, Client]:
    """A browser for each role of Acme but the owner."""
    clients = {}
    for role in (Role.ADMIN, Role.MEMBER, Role.BILLING, Role.VIEWER):
        user = User.objects.create_user(f"{role}@example.org")
        Membership.objects.create(user=user, tenant=acme, role=role)
        clients[role] = signed_in(user)
    return clients


def post(client: Client, address: str, change):
    options = {"content_type": "application/json"} if change.is_json else {}
    return client.post(address, change.sent, **options)


def test_a_form_asks_the_table(people, of_acme, subtests):
    for name in sorted(FORMS.keys() - PERSONAL):
        with subtests.test(name), undone():
            address = address_of(name, prepared(FORMS[name], of_acme))
            view = resolve(address).func
            assert hasattr(view, "permission"), "it does not say what it requires"
            before = state()
            for role, client in people.items():
                if view.permission not in ALLOWED[role]:
                    refused = post(client, address, FORMS[name])
                    assert refused.status_code == 403, role
                    assert "can " in refused.text
            assert (changes_between(before, state()), logged()) == ([], [])


def forms_on(page: str) -> Iterator[str]:
    """Yield the addresses of forms that have a button."""
    for address, inside in FORM.findall(page):
        if 'type="submit"' in inside and address.startswith("/"):
            yield address


def test_a_page_is_read_by_those_whom_the_table_lets_and_offers_no_form_that_it_refuses(people, of_acme):
    two_versions(of_acme)
    faults = []
    pages = dict.fromkeys(people, 0)
    for name in PAGES:
        if name in PERSONAL or name in OF_SOME:
            continue
        address = address_of(name, of_acme)
        needed = getattr(resolve(address).func, "permission_to_read", Permission.READ)
        for role, client in people.items():
            answer = client.get(address)
            if answer.status_code not in (403, 405) and needed not in ALLOWED[role]:
                faults.append(f"{name} is shown to {role}: {answer.status_code}")
            if answer.status_code == 403 and needed in ALLOWED[role]:
                faults.append(f"{name} is refused to {role}")
            if answer.status_code != 200 or not answer["Content-Type"].startswith("text/html"):
                continue
            pages[role] += 1
            for form in forms_on(answer.text):
                if getattr(resolve(form).func, "permission", Permission.READ) not in ALLOWED[role]:
                    faults.append(f"{name} offers {role} {form}")
    assert faults == [], "\n".join(faults)
    assert min(pages.values()) > 10


def needed_for(method: str, path: str) -> Permission:
    """Return what an operation needs of a person."""
    view = resolve(path).func
    handler = getattr(view.cls, getattr(view, "actions", {}).get(method, method))
    return handler.permission or needed_by_scope(handler.scope, is_change=True)


def test_an_operation_asks_the_table(people, of_acme, subtests):
    for name, change in OPERATIONS.items():
        with subtests.test(name), undone():
            method, pattern = operations()[name]
            path = pattern.format(**prepared(change, of_acme))
            needed = needed_for(method, path)
            before = state()
            for role, client in people.items():
                if needed in ALLOWED[role]:
                    continue
                refused = getattr(client, method)(path, change.sent or None, content_type="application/json")
                assert refused.status_code == 403, (role, refused.content)
                assert refused.json()["code"] == "role_not_allowed"
                assert "Ask an owner" in refused.json()["detail"]
            assert (changes_between(before, state()), logged()) == ([], [])


LEAST = {
    "keys:issue_key": Role.MEMBER,
    "adapters:describe": Role.MEMBER,
    "events:webhooks": Role.ADMIN,
    "website:edit_workspace": Role.ADMIN,
    "billing:billing_details": Role.BILLING,
    "billing:change_plan": Role.BILLING,
    "events:notices": Role.VIEWER,
}


def test_the_least_mighty_role_of_a_form_is_let_in(people, of_acme, subtests):
    for name, role in LEAST.items():
        with subtests.test(name), undone():
            address = address_of(name, prepared(FORMS[name], of_acme))
            assert post(people[role], address, FORMS[name]).status_code in (200, 302)
            assert logged() == ([FORMS[name].audits] if FORMS[name].audits else [])


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
