"""Events are recorded with what they tell, as it is then, and reach every subscriber."""

import pytest
from django.db import transaction

from events import outbox
from events.models import EventType, OutboxEvent
from tenants.models import Tenant


@pytest.fixture
def presented(settings) -> None:
    """Tenants are presented by their name, and nobody subscribes."""
    settings.EVENT_PRESENTERS = {"tenants.tenant": lambda tenant: {"id": tenant.pk, "name": tenant.name}}
    settings.EVENT_SUBSCRIBERS = []


def record(tenant: Tenant, **facts: object) -> OutboxEvent:
    return outbox.record_event(tenant.pk, EventType.WORKSPACE_SUSPENDED, tenant, **facts)


def test_an_event_carries_the_object_as_it_was_then(presented, acme):
    event = record(acme, by="an operator")
    Tenant.objects.filter(pk=acme.pk).update(name="Renamed")
    event.refresh_from_db()
    assert event.object == {"id": str(acme.pk), "name": "Acme"}
    assert (event.tenant, event.type, event.facts) == (acme, "workspace.suspended", {"by": "an operator"})


def test_every_subscriber_hears_of_it_before_it_is_committed(presented, acme, settings):
    heard, also_heard = [], []
    settings.EVENT_SUBSCRIBERS = [heard.append, also_heard.append]
    event = record(acme)
    assert heard == also_heard == [event]


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_leaves_no_event(presented, acme):
    def act() -> None:
        record(acme)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        act()
    assert not OutboxEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_nothing_is_recorded(presented, acme):
    with pytest.raises(transaction.TransactionManagementError, match="suspended"):
        record(acme)
    assert not OutboxEvent.objects.exists()


def test_a_row_that_nobody_presents_is_a_fault_of_the_program(presented, acme, alice):
    with pytest.raises(KeyError, match=r"tenants\.user"):
        outbox.record_event(acme.pk, EventType.WORKSPACE_SUSPENDED, alice)
