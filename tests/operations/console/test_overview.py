"""The console's first page: what operators see, by their rights, and where its tiles lead."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from adapters.models import AdapterVersion, Style
from core.valkey import usage_key
from tenants.models import ServiceSample, User
from tests.operations.builders import new_engine

FRONT = reverse("admin:index")
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def busy(acme, valkey) -> None:
    """A service with some traffic, a silent engine, a failed version and usage that waits."""
    now = timezone.now().replace(second=0, microsecond=0)
    for minutes, requests in ((3, 0), (0, 360)):
        totals = {
            "requests": requests,
            "prompt": 2 * requests,
            "completion": requests,
            "r:rate_limited": requests // 36,
        }
        ServiceSample.objects.create(at=now - timedelta(minutes=minutes), totals={**totals, "b:2": requests})
    base = new_engine("gpu-7").base_model
    style = Style.objects.create(owner=acme, slug="rain", name="Rain", base_model=base)
    AdapterVersion.objects.create(style=style, number=1, status="failed")
    valkey.xadd(usage_key(), {"event": "{}"}, id=f"{int(now.timestamp() * 1000) - 120_000}-0")


def tiles(client: Client, **query: str) -> dict[str, tuple[str, str]]:
    shown = client.get(FRONT, query)
    assert shown.status_code == 200
    return {tile.title: (tile.value, tile.note) for tile in shown.context["tiles"]}


def test_the_overview_says_how_the_service_does(operator_client, busy):
    shown = tiles(operator_client)
    assert shown["Requests"][0] == "2.0/s"
    assert shown["Tokens"][0] == "6/s"
    assert shown["First token"][0] == "38 ms"
    assert shown["Errors"] == ("10", "in the last five minutes: rate_limited")
    assert shown["Engines"] == ("0 of 1", "not responding: gpu-7")
    assert shown["Failed versions"][0] == "1"
    assert shown["Ledger lag"][0].endswith("min")
    assert shown["Used this month"][0] == "$0.00"


def test_every_tile_leads_to_a_list_and_every_span_has_charts(operator_client, busy):
    for tile in operator_client.get(FRONT).context["tiles"]:
        assert operator_client.get(tile.address).status_code == 200, tile
    for span in ("1h", "24h", "30d", "nonsense"):
        page = operator_client.get(FRONT, {"span": span})
        assert len(page.context["charts"]) == 4
        assert "rate_limited" in page.text or span == "30d"


def test_an_empty_service_has_an_overview(operator_client):
    assert tiles(operator_client)["Requests"] == ("no sample yet", "Beat takes one sample per minute.")
    assert "No samples for this period yet" in operator_client.get(FRONT).text


def test_staff_see_the_tiles_of_their_rights_and_without_a_role_nothing(busy):
    clerk = User.objects.create_user("clerk@example.org", is_staff=True)
    client = Client()
    client.force_login(clerk, backend="allauth.account.auth_backends.AuthenticationBackend")
    nothing = client.get(FRONT)
    assert "You don\u2019t have a role yet" in nothing.text
    assert "tiles" not in nothing.context
    clerk.user_permissions.add(Permission.objects.get(codename="view_engine"))
    shown = tiles(client)
    assert "Engines" in shown
    assert "Used this month" not in shown
    assert "Requests" not in shown


def test_members_see_no_overview(alice_client):
    assert alice_client.get(FRONT).status_code == 302
