"""The console's page of margins."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from adapters.models import EngineSample
from metering.ledger import record_events
from tests.operations.builders import clerk
from tests.tenants.builders import make_event

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def sample(engine, at, *, is_answering=True):
    counts = {"wanted": 1, "loaded": 1, "missing": 0, "loads": 1}
    EngineSample.objects.create(engine=engine, at=at, is_answering=is_answering, **counts)


def test_usage_stands_beside_what_engines_cost_by_hour_and_replica(operator_client, acme, engine, settings):
    settings.ENGINE_CENTS_PER_HOUR = 250
    engine.replicas = 2
    engine.save(update_fields=["replicas"])
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    for minutes in (60, 61, 62, 180):  # three hours, in one of which two samples
        sample(engine, now - timedelta(minutes=minutes))
    sample(engine, now - timedelta(minutes=300), is_answering=False)
    sample(engine, now - timedelta(days=31))
    record_events(
        [make_event(acme, admitted_at=timezone.now(), prompt_tokens=0, completion_tokens=1_000_000)]
    )
    page = operator_client.get(reverse("admin:margins"))
    figures = {figure.name: figure.value for figure in page.context["figures"]}
    assert figures["Usage at list prices"] == "$0.40"
    assert figures["Engine cost"] == "$15.00"
    assert figures["Margin"] == "-$14.60"
    [row] = page.context["rows"]
    assert (row.name, row.tokens, row.cost, row.is_loss) == ("Acme", 1_000_000, "$15.00", True)


def test_without_a_rate_the_page_says_where_it_is_set(operator_client):
    assert "ENGINE_CENTS_PER_HOUR" in operator_client.get(reverse("admin:margins")).text


def test_only_who_sees_invoices_sees_margins():
    assert clerk("Engineer").get(reverse("admin:margins")).status_code == 403
