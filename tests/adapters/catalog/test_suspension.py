"""A style that operators suspend answers nobody, its owner neither, until the suspension is lifted."""

import time

import pytest
from django.urls import reverse

from accounts.workspaces import create_tenant
from adapters.catalog import selection, sharing
from adapters.errors import NotSuspended, SuspendedAlready
from adapters.models import Placement, Style
from adapters.placement import planner
from adapters.routing import publisher
from core.valkey import client, route_versions_key
from tenants.models import AuditEntry, Tenant, User
from tests.adapters.builders import published_targets
from tests.adapters.routes import routes_of
from tests.tenants.builders import owner_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]
STYLES = reverse("admin:adapters_style_changelist")
MOST_S = 5


@pytest.fixture
def noir(noir, acme, charlies) -> Style:
    """A public style of Acme's that Charlie's workspace uses, too."""
    sharing.set_public(noir)
    selection.select_style(owner_of(charlies), noir)
    publisher.publish_library(acme.pk)  # else its first request would
    return Style.objects.select_related("owner").get(pk=noir.pk)


@pytest.fixture
def readers(noir) -> None:
    """Twenty-nine more workspaces that use the style."""
    for number in range(29):
        user = User.objects.create_user(f"reader-{number}@example.org")
        selection.select_style(owner_of(create_tenant(user, name=f"Reader {number}")), noir)


def routed(style: Style) -> set[Tenant]:
    """Return the workspaces whose requests the gateway would let through to the style."""
    name = style.model_name
    return {tenant for tenant in Tenant.objects.all() if name in published_targets(client(), tenant)}


def test_within_five_seconds_no_gateway_knows_a_suspended_style(operator_client, alice_client, noir, readers):
    assert routed(noir) == set(Tenant.objects.all())
    suspend = {"action": "suspend", "_selected_action": [noir.pk]}
    assert "for the owner as well" in operator_client.post(STYLES, suspend).text
    began_s = time.process_time()  # not the wall clock: others may use the machine, and nothing waits here
    operator_client.post(STYLES, {**suspend, "confirmed": "1", "why": "It prints addresses."})
    assert routed(noir) == set()
    assert not client().hkeys(route_versions_key())
    assert time.process_time() - began_s < MOST_S
    assert "acme/noir" not in routes_of(noir.owner_id)
    entry = AuditEntry.objects.get(action="suspend")
    assert entry.after["suspended_reason"] == "It prints addresses."
    page = alice_client.get(reverse("adapters:style", args=["acme", "noir"])).text
    assert "Reason from the operators: It prints addresses." in page

    publisher.compare_tables()
    publisher.republish_stale()
    assert routed(noir) == set()
    lift = {"action": "lift_suspension", "_selected_action": [noir.pk], "confirmed": "1", "why": "Mended"}
    operator_client.post(STYLES, lift)
    assert routed(noir) == set(Tenant.objects.all())


def test_engines_let_go_of_a_suspended_style_and_get_it_back(noir):
    sharing.suspend_style(noir, reason="Looked into")
    planner.plan_all()
    assert not Placement.objects.filter(is_desired=True).exists()
    assert planner.request_version(str(noir.live_version_id)) == []
    sharing.lift_suspension(noir)
    planner.plan_all()
    assert Placement.objects.filter(is_desired=True).count() == 1


def test_suspending_twice_says_so_and_keeps_the_first_reason(noir):
    sharing.suspend_style(noir, reason="First")
    with pytest.raises(SuspendedAlready):
        sharing.suspend_style(noir, reason="Second")
    assert Style.objects.get().suspended_reason == "First"
    sharing.lift_suspension(noir)
    with pytest.raises(NotSuspended):
        sharing.lift_suspension(noir)


def test_others_do_not_read_why(charlie_client, noir):
    sharing.suspend_style(noir, reason="Between us")
    page = charlie_client.get(reverse("adapters:style", args=["acme", "noir"])).text
    assert ">Suspended</span>" in page
    assert "Between us" not in page
