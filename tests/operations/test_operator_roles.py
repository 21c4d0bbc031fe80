"""Operators' roles: each sees and changes what its work needs, and nobody without a role sees anything."""

import pytest
from django.contrib.admin import site
from django.test import Client
from django.urls import reverse

from metering.models import CreditGrant
from tenants.models import Tenant
from tests.operations.builders import clerk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
SURE = {"confirmed": "1", "why": "They asked for it."}
SUPERUSERS_ONLY = {"auth.group", "mfa.authenticator"}

# What each role changes; it may view more.
CHANGES = {
    "Support": {
        "tenants.apikey": False,
        "tenants.tenant": True,
        "events.webhookendpoint": False,
        "adapters.adapterversion": False,
        "adapters.share": False,
        "adapters.style": True,
    },
    "Finance": {
        "tenants.tenant": True,
        "metering.creditgrant": True,
        "metering.pricebook": True,
        "metering.styleprice": True,
    },
    "Engineer": {"adapters.engine": True},
    "Admin": {"tenants.tenant": True, "adapters.engine": True, "adapters.style": True},
}


def address(label: str, page: str = "changelist", *args: object) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_{page}", args=args)


def labels() -> set[str]:
    return {model._meta.label_lower for model in site._registry}


def seen(client: Client) -> set[str]:
    return {label for label in labels() if client.get(address(label)).status_code == 200}


def changed(client: Client) -> set[str]:
    """Return the kinds that a role may add or change, by the admin's own word."""
    request = client.get(reverse("admin:index")).wsgi_request
    kinds = set()
    for model, page in site._registry.items():
        if page.has_add_permission(request) or page.has_change_permission(request):
            kinds.add(model._meta.label_lower)
    return kinds


def test_staff_without_a_role_see_no_list(acme):
    client = clerk()
    assert seen(client) == set()
    assert "You don\u2019t have a role yet" in client.get(reverse("admin:index")).text


def test_each_role_sees_its_own_lists_and_none_gives_rights():
    found = {}
    for role in CHANGES:
        found[role] = seen(clerk(role))
        assert not found[role] & SUPERUSERS_ONLY, role
    assert found["Admin"] == labels() - SUPERUSERS_ONLY
    assert "adapters.engine" not in found["Finance"]
    assert "metering.invoice" not in found["Engineer"]
    assert {"tenants.user", "adapters.style", "metering.invoice"} <= found["Support"]


def test_each_role_changes_what_its_work_needs():
    for role, expected in CHANGES.items():
        found = changed(clerk(role))
        assert {kind for kind, is_changed in expected.items() if is_changed} <= found, role
    assert changed(clerk("Support")) == {"tenants.tenant", "adapters.style"}
    assert changed(clerk("Engineer")) == {"adapters.engine"}


def test_support_suspends_a_workspace_and_grants_nothing(acme):
    client = clerk("Support")
    sent = {"action": "suspend", "_selected_action": [acme.pk], **SURE}
    client.post(address("tenants.tenant"), sent)
    assert Tenant.objects.get(pk=acme.pk).suspended_at
    assert client.get(address("metering.creditgrant", "add")).status_code == 403
    assert not CreditGrant.objects.exists()


def test_a_role_changes_no_members_with_a_workspace(acme, bob):
    client = clerk("Support")
    member = acme.memberships.get(user=bob)
    form = {
        "name": "Acme",
        "why": "They asked.",
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": member.pk,
        "memberships-0-user": bob.pk,
        "memberships-0-role": "owner",
        "memberships-0-tenant": acme.pk,
        "memberships-0-DELETE": "on",
    }
    client.post(address("tenants.tenant", "change", acme.pk), form)
    member.refresh_from_db()
    assert member.role == "member"
