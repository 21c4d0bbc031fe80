"""The console's first page: what operators see, by their rights, and where its tiles lead."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from adapters.models import AdapterVersion, Placement, Style
from core.console import Figure, Level
from core.valkey import usage_key
from operations.models import ServiceSample
from tenants.models import User
from tests.operations.builders import clerk, new_engine

FRONT = reverse("admin:index")
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def busy(acme, valkey) -> None:
    """A service with some traffic, a silent and a drained engine, a failed version and usage that waits."""
    now = timezone.now().replace(second=0, microsecond=0)
    for minutes, requests in ((3, 0), (0, 360)):
        totals = {
            "requests": requests,
            "prompt": 2 * requests,
            "completion": requests,
            "r:rate_limited": requests // 36,
        }
        ServiceSample.objects.create(at=now - timedelta(minutes=minutes), totals={**totals, "b:2": requests})
    silent = new_engine("gpu-7")
    base = silent.base_model
    style = Style.objects.create(owner=acme, slug="rain", name="Rain", base_model=base)
    AdapterVersion.objects.create(style=style, number=1, status="failed")
    drained = new_engine("gpu-8", is_draining=True)
    for loaded_at in (None, now):
        of_both = AdapterVersion.objects.create(style=style, number=2 + bool(loaded_at), status="serving")
        for engine in (silent, drained):
            Placement.objects.create(engine=engine, version=of_both, is_desired=True, loaded_at=loaded_at)
    valkey.xadd(usage_key(), {"event": "{}"}, id=f"{int(now.timestamp() * 1000) - 120_000}-0")


def tiles(client: Client, **query: str) -> dict[str, tuple[str, str]]:
    shown = client.get(FRONT, query)
    assert shown.status_code == 200
    return {figure.name: (figure.value, figure.note) for figure in figures_of(shown)}


def figures_of(shown) -> list[Figure]:
    figures = []
    for group in shown.context["groups"]:
        figures += [*group.figures, *(trend.figure for trend in group.trends)]
    return figures


def test_the_overview_says_how_the_service_does(operator_client, busy):
    shown = tiles(operator_client)
    assert shown["Requests"][0] == "2.0/s"
    assert shown["Tokens"][0] == "6/s"
    assert shown["First token"][0] == "38 ms"
    assert shown["Errors"] == ("10", "in the last five minutes")
    assert shown["Engines"] == ("0 of 1", "not responding: gpu-7")
    assert shown["Failed versions"][0] == "1"
    assert shown["Ledger lag"][0].endswith("min")
    assert shown["Used this month"][0] == "$0.00"


def test_each_figure_is_shown_once_in_one_of_four_groups(operator_client, busy):
    shown = operator_client.get(FRONT)
    titles = [group.title for group in shown.context["groups"]]
    assert titles == ["Service health", "Styles", "Money", "People and reviews"]
    names = [figure.name for figure in figures_of(shown)]
    assert len(names) == len(set(names))
    for name in names:
        assert shown.text.count(f'<span class="overview-title">{name}</span>') == 1, name


def test_each_figure_leads_to_the_rows_that_it_counts(operator_client, busy):
    figures = figures_of(operator_client.get(FRONT))
    for figure in figures:
        assert figure.address
        assert (
            operator_client.get(FRONT if figure.address.startswith("#") else figure.address).status_code
            == 200
        )
    counted = ("Failed versions", "Versions in progress", "Workspaces", "Changes to publish", "New people")
    counted += ("Styles on engines", "Waiting to load")
    for figure in figures:
        if figure.name in counted:
            rows = operator_client.get(figure.address).context["cl"].result_count
            assert figure.value == str(rows), figure


def test_every_span_has_charts(operator_client, busy):
    for span in ("1h", "24h", "30d", "nonsense"):
        page = operator_client.get(FRONT, {"span": span})
        assert len(page.context["groups"][0].trends) == 4
        assert "rate_limited" in page.text or span in ("24h", "30d")  # a long interval needs two samples


def test_an_empty_service_has_an_overview(operator_client):
    shown = operator_client.get(FRONT)
    assert tiles(operator_client)["Requests"] == ("-", "no sample in the last five minutes")
    assert "No samples for this period yet" in shown.text
    assert {figure.level for figure in figures_of(shown)} == {Level.NORMAL}  # nothing is configured: no fault


def test_a_silent_engine_is_a_fault_and_a_failed_version_needs_somebody(operator_client, busy):
    levels = {figure.name: figure.level for figure in figures_of(operator_client.get(FRONT))}
    assert levels["Engines"] == levels["Ledger lag"] == Level.FAULT
    assert levels["Failed versions"] == Level.SOON
    assert levels["Open holds"] == levels["Waiting to load"] == Level.NORMAL


def test_staff_see_the_tiles_of_their_rights_and_without_a_role_nothing(busy):
    client = clerk()
    nothing = client.get(FRONT)
    assert "You don\u2019t have a role yet" in nothing.text
    assert "groups" not in nothing.context
    user = User.objects.get(email="clerk@example.org")
    user.user_permissions.add(Permission.objects.get(codename="view_engine"))
    shown = tiles(client)
    assert "Engines" in shown
    assert "Used this month" not in shown
    assert "Requests" not in shown


def test_members_see_no_overview(alice_client):
    assert alice_client.get(FRONT).status_code == 302
